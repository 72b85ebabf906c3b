//! What the tests share.

use baretrace::simulate::{self, Printed, Script};

/// The script of Bitcoin Core's P2P log, with its outbound twin.
pub(crate) const P2P: &str = r#"#!/usr/bin/env bpftrace
BEGIN { printf("Logging P2P traffic\n") }
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

/// A script by its text.
pub(crate) fn script(text: &str) -> Script {
    Script {
        name: "test.bt".to_owned(),
        text: text.to_owned(),
        ..Script::default()
    }
}

/// What a script prints.
pub(crate) fn print(text: &str, events: &str) -> Printed {
    match simulate::text(&script(text), events) {
        Ok(printed) => printed,
        Err(simulate::TextError::Script(err)) => panic!("{}", err.render(&script(text), false)),
        Err(err) => panic!("{err}"),
    }
}

/// What it prints on standard output.
pub(crate) fn output(text: &str, events: &str) -> String {
    print(text, events).output
}

/// The message of what goes wrong, its help behind it.
pub(crate) fn error(text: &str, events: &str) -> String {
    match simulate::text(&script(text), events) {
        Ok(printed) => panic!("it runs, and prints {:?}", printed.output),
        Err(simulate::TextError::Simulate(err)) => match err.help() {
            Some(help) => format!("{err}; {help}"),
            None => err.to_string(),
        },
        Err(simulate::TextError::Script(err)) => err.render(&script(text), false),
    }
}
