//! From where network sets may take their networks, and the addresses that they name.
//!
//! Whoever owns an organization chooses the address, and whoever runs the gateway the hosts: without the second the first
//! could have the gateway ask whatever it can reach (threats.md S1).

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use http::uri::Authority;

/// Longest address of a list, in characters.
const LONGEST: usize = 2_048;

/// From where network sets may take their networks. By default from nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feeds {
    /// Hosts that lists are fetched from.
    pub hosts: Vec<FeedHost>,
    /// The folder that list files are read from.
    pub files: Option<PathBuf>,
    /// What reading one list may take.
    pub timeout: Duration,
}

impl Default for Feeds {
    fn default() -> Self {
        Self { hosts: Vec::new(), files: None, timeout: Duration::from_secs(30) }
    }
}

/// A host that lists are fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedHost {
    /// In small letters; an IPv6 address without its brackets.
    pub name: String,
    /// `None`: the usual one of the scheme.
    pub port: Option<u16>,
    /// Whether it may be at an address that is not on the internet.
    pub internal: bool,
}

/// The address of a list: `https`, or `http` on this machine, without user, password and fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedAddress {
    /// As it is asked.
    pub uri: Uri,
    host: String,
    port: Option<u16>,
    in_clear: bool,
}

impl FeedAddress {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it. It is not repeated: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fault =
            || "it is not the address of a list, such as https://ip-ranges.amazonaws.com/ip-ranges.json".to_owned();
        if text.len() > LONGEST || text.contains('#') {
            return Err(fault());
        }
        let uri: Uri = text.parse().map_err(|_| fault())?;
        let authority = uri.authority().ok_or_else(fault)?;
        if authority.as_str().contains('@') {
            return Err("it has a user name or password in it; leave them out".into());
        }
        let (host, port) = host(authority).ok_or_else(fault)?;
        let in_clear = match uri.scheme_str() {
            Some("https") => false,
            Some("http") if is_this_machine(&host) => true,
            Some("http") => {
                return Err(
                    "it would be fetched in clear, so that anybody on the way could change it; use https".into()
                );
            }
            _ => return Err(fault()),
        };
        Ok(Self { host, port, in_clear, uri })
    }

    /// The host, in small letters.
    pub fn host(&self) -> &str {
        &self.host
    }

    fn port(&self) -> u16 {
        self.port.unwrap_or(if self.in_clear { 80 } else { 443 })
    }
}

impl Feeds {
    /// The entry that lets a list be fetched from there.
    ///
    /// # Errors
    /// Why it is not, with the way out. What else is listed is not told: it is nothing to owners of organizations.
    pub fn host_of(&self, address: &FeedAddress) -> Result<&FeedHost, String> {
        let is_it = |one: &&FeedHost| {
            let usual = if address.in_clear { 80 } else { 443 };
            one.name == address.host && one.port.unwrap_or(usual) == address.port()
        };
        let way_out = "whoever runs the gateway can add it, and `portcullis network-sets update --from` takes a list from anywhere";
        let shown = match address.port {
            Some(port) => format!("{}:{port}", address.host),
            None => address.host.clone(),
        };
        match self.hosts.iter().find(is_it) {
            Some(host) if address.in_clear && !host.internal => Err(format!(
                "`{shown}` is on this machine and `feeds.allow_hosts` does not say `internal: true` of it; {way_out}"
            )),
            Some(host) => Ok(host),
            None if self.hosts.is_empty() => Err(format!(
                "nothing is fetched here: `feeds.allow_hosts` of the configuration names no host, and so not `{shown}`; {way_out}"
            )),
            None => {
                Err(format!("`{shown}` is not among the hosts of `feeds.allow_hosts` in the configuration; {way_out}"))
            }
        }
    }
}

impl FeedHost {
    /// Reads a host, with a port or without.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, internal: bool) -> Result<Self, String> {
        let fault = || {
            let shown: String = text.chars().take(64).flat_map(char::escape_default).collect();
            format!(
                "`{shown}` is no host such as ip-ranges.amazonaws.com or lists.example.com:8443; each is named in full"
            )
        };
        let authority: Authority = text.parse().map_err(|_| fault())?;
        let (name, port) = host(&authority).ok_or_else(fault)?;
        Ok(Self { name, port, internal })
    }
}

/// Host and port, where there is nothing else: a full name in small letters, or an address as it is usually written.
fn host(authority: &Authority) -> Option<(String, Option<u16>)> {
    let bare = authority.host();
    let port = match authority.as_str().strip_prefix(bare)? {
        "" => None,
        rest => Some(rest.strip_prefix(':')?.parse().ok().filter(|port| *port > 0)?),
    };
    if let Some(inner) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Some((inner.parse::<std::net::Ipv6Addr>().ok()?.to_string(), port));
    }
    let name = bare.to_ascii_lowercase();
    if let Ok(address) = name.parse::<IpAddr>() {
        return Some((address.to_string(), port));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    // `0x7f.1` and `2130706433` are addresses to those who look names up.
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = last.starts_with("0x") || last.bytes().all(|byte| byte.is_ascii_digit());
    (name.len() <= 253 && name.split('.').all(label) && !is_number).then_some((name, port))
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_an_address_is_taken_as_it_is_usually_written_or_not_at_all() {
        for good in [
            "https://ip-ranges.amazonaws.com/ip-ranges.json",
            "https://Lists.Example.com:8443/a?b=c",
            "https://192.0.2.1/",
            "https://[2001:db8::1]/x",
            "http://localhost:8099/list",
            "http://127.0.0.1:8099/list",
            "http://[::1]/list",
        ] {
            assert!(FeedAddress::parse(good).is_ok(), "{good}: {:?}", FeedAddress::parse(good));
        }
        for bad in [
            "",
            "ip-ranges.amazonaws.com",
            "/list",
            "ftp://example.com/",
            "file:///etc/passwd",
            "http://example.com/list",
            "http://10.0.0.1/list",
            "http://localhost.example.com/list",
            "https://user:password@example.com/",
            "https://listed.example.com@10.0.0.1/",
            "https://example.com./",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://127.1/",
            "https://example.com:/",
            "https://example.com:0/",
            "https://example.com:65536/",
            "https://example.com/#fragment",
            "https://*.example.com/",
        ] {
            assert!(FeedAddress::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn s1_hosts_are_allowed_one_by_one_and_with_their_ports() {
        let host = |text: &str, internal| FeedHost::parse(text, internal).unwrap();
        let feeds = Feeds {
            hosts: vec![
                host("Lists.Example.com", false),
                host("lists.example.com:8443", false),
                host("127.0.0.1:8099", true),
                host("localhost:80", false),
                host("[2001:DB8::0:1]", false),
            ],
            ..Feeds::default()
        };
        let asked = |text: &str| feeds.host_of(&FeedAddress::parse(text).unwrap()).map(|host| host.internal);
        for (url, internal) in [
            ("https://lists.example.com/a", false),
            ("https://LISTS.example.com:443/a", false),
            ("https://lists.example.com:8443/", false),
            ("http://127.0.0.1:8099/", true),
            ("https://[2001:db8::1]/", false),
        ] {
            assert_eq!(asked(url), Ok(internal), "{url}");
        }
        for url in [
            "https://example.com/",
            "https://a.lists.example.com/",
            "https://lists.example.com.evil.example/",
            "https://lists.example.com:444/",
            "http://127.0.0.1/",
            "http://[::1]:8099/",
            "https://127.0.0.1/",
            // Listed, and not as what it is.
            "http://localhost/",
        ] {
            assert!(asked(url).is_err(), "{url}");
        }
        let nothing = Feeds::default();
        let told = nothing.host_of(&FeedAddress::parse("https://example.com/").unwrap()).unwrap_err();
        assert!(told.contains("feeds.allow_hosts") && told.contains("`example.com`"), "{told}");
        for bad in
            ["", "*.example.com", "https://example.com", "a@b", "example.com/x", "example.com.", "10.1", "a:x", "a b"]
        {
            assert!(FeedHost::parse(bad, false).is_err(), "{bad}");
        }
    }
}
