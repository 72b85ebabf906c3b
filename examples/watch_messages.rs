//! Logs the P2P messages of a bitcoind in five lines: `cargo run --example watch_messages -- PID` (as root).
//!
//! Without a process it watches this program's own built-in target, which has the same probes.

use baretrace::trace::Binary;
use std::process::{Child, Command, Stdio};
use std::{env, error::Error};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let (pid, target) = match words.first() {
        Some(word) if word.starts_with("--") => return Ok(baretrace::demo::target::run(&words)?),
        Some(word) => (word.parse()?, None),
        None => target()?,
    };

    let messages = ["net:inbound_message", "net:outbound_message"];
    for event in Binary::of_process(pid)?.subscribe(&messages)?.start()? {
        let e = event?;
        let (peer, size) = (e.int("peer_id")?, e.int("size")?);
        println!(
            "{} {} peer {peer}: {size} bytes",
            e.short_name(),
            e.text("msg_type")?
        );
    }
    drop(target);
    Ok(())
}

/// A node of our own: it tells its story once a tracer is attached.
fn target() -> Result<(u32, Option<Child>), Box<dyn Error>> {
    let mut command = Command::new(env::current_exe()?);
    let command = command.args(["--wait-s", "5", "--rounds", "2", "--die-with-parent"]);
    let child = command.stdout(Stdio::null()).spawn()?;
    Ok((child.id(), Some(child)))
}
