//! Starting other programs from tests: they must be there, they end with the test, and nothing waits for ever.

use std::ffi::OsStr;
use std::fmt::Display;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The package's folder.
pub fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program under test.
pub const PORTCULLIS: &str = env!("CARGO_BIN_EXE_portcullis");

/// Where a third-party program is; a test that needs one fails without it.
#[track_caller]
pub fn program(name: &str) -> PathBuf {
    let own = package().join("target/tools").join(name);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).map(|at| at.join(name));
    if own.exists() {
        return own;
    }
    places
        .find(|place| place.is_file())
        .unwrap_or_else(|| panic!("`{name}` is missing: `tests/run` installs what the tests need"))
}

/// Runs to the end and demands success.
#[track_caller]
pub fn succeed(command: &mut Command) -> String {
    let output = output(command);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs to the end.
#[track_caller]
pub fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// nginx as one process that keeps its files in this folder, with this text within `http`.
#[track_caller]
pub fn nginx(folder: &Path, http: &str) -> Running {
    let at = folder.display();
    let text = format!(
        "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\n\
         client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; \
         scgi_temp_path {at}/s;\n{http}\n}}\n"
    );
    let configuration = folder.join("nginx.conf");
    std::fs::write(&configuration, text).unwrap();
    let mut command = Command::new(program("nginx"));
    command.arg("-p").arg(folder).arg("-e").arg(folder.join("start.log")).arg("-c").arg(configuration);
    Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
}

/// A program that is ended, by its own id, when the test lets go of it.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts it.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        Running(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// The process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            // Its id may belong to somebody else by now.
            return;
        }
        // First the way that lets it clean up behind itself.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            pause();
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks until there is an answer, and gives up with what was asked for and the last refusal.
#[track_caller]
pub fn eventually<T, E: Display>(what: &str, limit: Duration, mut ask: impl FnMut() -> Result<T, E>) -> T {
    let begun = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(refusal) if begun.elapsed() > limit => panic!("{what}: not within {limit:?}: {refusal}"),
            Err(_) => pause(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "other programs offer nothing to wait on; only eventually() polls")]
fn pause() {
    std::thread::sleep(Duration::from_millis(30));
}

/// A port of the loopback that nobody listens on now, for programs that can't be told to take any.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until an HTTP server on this port of the loopback answers, and answers something else than that it is not ready.
#[track_caller]
pub fn serves(port: u16, path: &str) {
    eventually(&format!("port {port} serves"), Duration::from_secs(20), || {
        match curl::<String>(None, &[format!("http://127.0.0.1:{port}{path}")])? {
            (503, body) => Err(body),
            _ => Ok(()),
        }
    });
}

/// What `curl` gets: status and body.
#[track_caller]
pub fn curl<I: AsRef<OsStr>>(before: Option<&mut Command>, arguments: &[I]) -> Result<(u16, String), String> {
    let mut plain = Command::new(program("curl"));
    let command = match before {
        Some(command) => command.arg(program("curl")),
        None => &mut plain,
    };
    let output = output(command.args(["-sS", "--max-time", "5", "-w", "\n%{http_code}"]).args(arguments));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap_or(("", &text));
    match status.trim().parse() {
        Ok(0) | Err(_) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Ok(status) => Ok((status, body.to_owned())),
    }
}
