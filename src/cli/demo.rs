//! `baretrace demo`: the P2P log of the built-in target, no bitcoind needed.

use super::{Call, CliError, out, run::session_error};
use crate::{
    kernel::detect,
    session::{self, Event, Options, Outcome, Script, Session, Value},
};
use clap::{Arg, ArgMatches};

pub(super) fn args(command: clap::Command) -> clap::Command {
    command.arg(
        Arg::new("seconds")
            .long("seconds")
            .value_name("N")
            .help("How long to watch")
            .default_value("5")
            .value_parser(clap::value_parser!(u32).range(1..)),
    )
}

/// The script, for the binary at `path`.
fn script(path: &str, seconds: u32) -> String {
    format!(
        r#"BEGIN {{ printf("Logging P2P traffic\n") }}
usdt:"{path}":net:inbound_message
{{
  $peer_id = (int64) arg0;
  $peer_addr = str(arg1);
  $peer_type = str(arg2);
  $msg_type = str(arg3);
  $msg_len = arg4;
  printf("inbound '%s' msg from peer %d (%s, %s) with %d bytes\n", $msg_type, $peer_id, $peer_type, $peer_addr, $msg_len);
}}
usdt:"{path}":net:outbound_message
{{
  $peer_id = (int64) arg0;
  $peer_addr = str(arg1);
  $peer_type = str(arg2);
  $msg_type = str(arg3);
  $msg_len = arg4;
  printf("outbound '%s' msg to peer %d (%s, %s) with %d bytes\n", $msg_type, $peer_id, $peer_type, $peer_addr, $msg_len);
}}
interval:s:{seconds} {{ exit(); }}
"#
    )
}

pub(super) fn run(matches: &ArgMatches, _: &Call) -> Result<(), CliError> {
    let seconds = matches.get_one("seconds").copied().unwrap_or(5);
    let exe = std::env::current_exe()
        .map_err(|err| CliError::failed(format!("find this program's own file: {err}")))?;
    let exe = exe
        .to_str()
        .ok_or_else(|| CliError::failed("find this program's own file: its path is not UTF-8"))?;
    let target = [exe, "demo-target", "--die-with-parent"].map(str::to_string);
    let options = Options {
        script: Script {
            name: "demo.bt".to_string(),
            text: script(exe, seconds),
        },
        command: Some(target.to_vec()),
        ..Options::default()
    };
    let missing = detect::missing_rights(false);
    if !missing.is_empty() {
        return simulated(&options, &missing);
    }
    match session::run(&options).map_err(session_error)? {
        Outcome::Done | Outcome::PipeClosed | Outcome::Exit(_) => Ok(()),
    }
}

/// Without rights: says what is missing, and shows what the same script prints when it runs in user space.
fn simulated(options: &Options, missing: &[detect::Missing]) -> Result<(), CliError> {
    let mut note = String::from("This process may not trace. It lacks\n");
    for what in missing {
        note.push_str(&format!("  {what}\n"));
    }
    note.push_str("The same programs, run in user space on invented events:\n\n");
    out::print(&note)?;
    let session = Session::for_any(options).map_err(session_error)?;
    let compiled = session.compile().map_err(session_error)?;
    session::simulate(&session, &compiled, options, &story()).map_err(session_error)
}

/// A handshake and a ping, as one peer sees them.
fn story() -> Vec<Event<'static>> {
    const MESSAGES: &[(bool, &str, i64)] = &[
        (true, "version", 102),
        (false, "version", 102),
        (true, "wtxidrelay", 0),
        (true, "sendaddrv2", 0),
        (true, "verack", 0),
        (false, "verack", 0),
        (false, "getheaders", 997),
        (true, "ping", 8),
        (false, "pong", 8),
        (true, "inv", 37),
        (false, "getdata", 37),
        (true, "tx", 222),
    ];
    let event = |(inbound, kind, size): &(bool, &'static str, i64)| Event {
        provider: "net",
        name: if *inbound {
            "inbound_message"
        } else {
            "outbound_message"
        },
        args: vec![
            Value::Int(3),
            Value::Str("203.0.113.9:51724"),
            Value::Str("inbound"),
            Value::Str(kind),
            Value::Int(*size),
            Value::Int(0),
        ],
    };
    MESSAGES.iter().map(event).collect()
}
