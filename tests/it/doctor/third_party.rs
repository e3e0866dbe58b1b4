//! What the doctor finds in nginx with a composite `map`, which takes everybody for a proxy.

use std::fs;
use std::process::{Command, Stdio};

use super::{INSIDE, OUTSIDE, Practice, with};
use crate::programs::{Running, free_port, program, serves};

#[test]
fn nginx_that_trusts_everybody_is_found_out() {
    let practice = Practice::open();
    let port = free_port();
    let text = r#"
daemon off; master_process off; pid FOLDER/pid; error_log FOLDER/error.log;
events {}
http {
  access_log off;
  client_body_temp_path FOLDER/b; proxy_temp_path FOLDER/p; fastcgi_temp_path FOLDER/f;
  uwsgi_temp_path FOLDER/u; scgi_temp_path FOLDER/s;
  set_real_ip_from 0.0.0.0/0; real_ip_header X-Forwarded-For;
  map "$http_x_api_key@$remote_addr" $listed {
    default 0;
    "~^OUTSIDE@198\.51\.100\." 1;
    "~^INSIDE@" 1;
  }
  server {
    listen 127.0.0.1:PORT;
    location / {
      if ($listed = 0) { return 403; }
      proxy_pass http://AGENT;
    }
  }
}
"#;
    let text = text.replace("FOLDER", practice.folder.path().to_str().unwrap()).replace("OUTSIDE", OUTSIDE);
    let text = text.replace("INSIDE", INSIDE).replace("PORT", &port.to_string());
    let path = practice.folder.path().join("nginx.conf");
    fs::write(&path, text.replace("AGENT", &practice.agent.to_string())).unwrap();
    let mut command = Command::new(program("nginx"));
    command.arg("-p").arg(practice.folder.path()).arg("-e").arg(path.with_extension("log")).arg("-c").arg(&path);
    let _running = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    serves(port, "/");

    let (code, report) = practice.examine(port, &[]);
    assert_eq!(code, 2, "{report:#}");
    let fails = with(&report, "fails");
    for planted in ["C1", "C3", "composite-key", "C1-upstream", "H6"] {
        assert!(fails.contains(&planted), "{planted}: {report:#}");
    }
    for sound in ["C10", "F1-both", "F1-codings", "F1-lengths"] {
        assert!(!fails.contains(&sound), "{sound}: {report:#}");
    }
}
