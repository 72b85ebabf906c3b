//! `baretrace demo`: the P2P log of the built-in target, no bitcoind needed.

use super::{Call, CliError, out, run::session_error, simulate::simulate_error};
use crate::{
    kernel::detect,
    session::{self, Options, Outcome, Script, Session},
    simulate,
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
        return simulated(&options, seconds, &missing);
    }
    match session::run(&options).map_err(session_error)? {
        Outcome::Done | Outcome::PipeClosed | Outcome::Exit(_) => Ok(()),
    }
}

/// Without rights: says what is missing, and shows what the same script prints when it runs in user space.
fn simulated(options: &Options, seconds: u32, missing: &[detect::Missing]) -> Result<(), CliError> {
    let mut note = String::from("This process may not trace. It lacks\n");
    for what in missing {
        note.push_str(&format!("  {what}\n"));
    }
    note.push_str("The same programs, run in user space on the target's story:\n\n");
    out::print(&note)?;
    let session = Session::for_any(options).map_err(session_error)?;
    let compiled = session.compile().map_err(session_error)?;
    let mut player = compiled.player(options).map_err(session_error)?;
    let settings = simulate::Settings {
        print_maps: compiled.settings.print_maps_on_exit,
        pace: true,
        ..simulate::Settings::default()
    };
    let events = simulate::demo::events(seconds).into_iter().map(Ok);
    simulate::run(
        &compiled.object,
        session.target(),
        &settings,
        events,
        &mut player,
    )
    .map(|_| ())
    .map_err(simulate_error)
}
