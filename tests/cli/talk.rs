//! The P2P script as it is shown in talks, unmodified: as a file with its `#!` line, and with `-e`.

use crate::support::{EXE, TempDir, can_trace, run, text};
use std::{
    os::unix::fs::{PermissionsExt, symlink},
    process::Command,
};

const SCRIPT: &str = r#"#!/usr/bin/env bpftrace

BEGIN
{
  printf("Logging P2P traffic\n")
}

usdt:./build/bin/bitcoind:net:inbound_message
{
  $peer_id = (int64) arg0;
  $peer_addr = str(arg1);
  $peer_type = str(arg2);
  $msg_type = str(arg3);
  $msg_len = arg4;
  printf("inbound '%s' msg from peer %d (%s, %s) with %d bytes\n", $msg_type, $peer_id, $peer_type, $peer_addr, $msg_len);
}

usdt:./build/bin/bitcoind:net:outbound_message
{
  $peer_id = (int64) arg0;
  $peer_addr = str(arg1);
  $peer_type = str(arg2);
  $msg_type = str(arg3);
  $msg_len = arg4;
  printf("outbound '%s' msg to peer %d (%s, %s) with %d bytes\n", $msg_type, $peer_id, $peer_type, $peer_addr, $msg_len);
}
"#;

/// What the target's story says first.
const LINES: &[&str] = &[
    "Logging P2P traffic",
    "outbound 'version' msg to peer 0 (outbound-full-relay, 192.0.2.17:8333) with 102 bytes",
    "inbound 'version' msg from peer 0 (outbound-full-relay, 192.0.2.17:8333) with 102 bytes",
    "inbound 'wtxidrelay' msg from peer 0 (outbound-full-relay, 192.0.2.17:8333) with 0 bytes",
    "outbound 'wtxidrelay' msg to peer 0 (outbound-full-relay, 192.0.2.17:8333) with 0 bytes",
];

#[test]
fn the_script_of_the_talk() {
    if !can_trace() {
        return;
    }
    let dir = TempDir::new("talk");
    std::fs::create_dir_all(dir.0.join("build/bin")).expect("make directories");
    symlink(EXE, dir.0.join("build/bin/bitcoind")).expect("link the target");
    symlink(EXE, dir.0.join("bpftrace")).expect("link the tracer");
    let file = dir.0.join("log_p2p_traffic.bt");
    std::fs::write(&file, SCRIPT).expect("write the script");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let path = std::env::var("PATH").unwrap_or_default();
    let target = "./build/bin/bitcoind demo-target --rounds 1 --pause-us 100";
    let by_shebang = {
        let mut command = Command::new(&file);
        // The kernel hands words behind the script on to the interpreter: `bpftrace FILE -c CMD`.
        command.args(["-c", target]);
        command
    };
    let by_option = {
        let mut command = Command::new(EXE);
        command.args(["-e", SCRIPT, "-c", target]);
        command
    };
    for (what, mut command) in [("file", by_shebang), ("-e", by_option)] {
        command
            .current_dir(&dir.0)
            .env("PATH", format!("{}:{path}", dir.0.display()));
        let out = run(&mut command, b"");
        let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
        const NOTICE: &str = "Attached 3 probes";
        // Called as bpftrace, the notice goes where bpftrace writes it: before the output.
        let of_bpftrace = what == "file";
        let lines = stdout.lines().skip(usize::from(of_bpftrace));
        let lines: Vec<&str> = lines.take(LINES.len()).collect();
        assert_eq!(lines, LINES, "{what}: {stderr}");
        assert_eq!(stdout.starts_with(NOTICE), of_bpftrace, "{what}: {stdout}");
        assert_eq!(stderr.contains(NOTICE), !of_bpftrace, "{what}: {stderr}");
        assert!(out.status.success(), "{what}: {stderr}");
    }
}
