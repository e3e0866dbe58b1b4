//! What the doctor finds in nginx with a composite `map`, which takes everybody for a proxy.

use super::{INSIDE, OUTSIDE, Practice, with};
use crate::programs::{free_port, nginx, serves};

#[test]
fn nginx_that_trusts_everybody_is_found_out() {
    let practice = Practice::open();
    let port = free_port();
    let text = r#"
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
"#;
    let text = text.replace("OUTSIDE", OUTSIDE).replace("INSIDE", INSIDE).replace("PORT", &port.to_string());
    let _running = nginx(practice.folder.path(), &text.replace("AGENT", &practice.agent.to_string()));
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
