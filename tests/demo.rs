//! The demo as a newcomer meets it: started, read, and its lines pasted into a shell.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// A running demo; it ends with the test.
struct Demo {
    process: Child,
    lines: Vec<String>,
}

impl Demo {
    /// Starts it and reads what it prints, up to the last line to paste.
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_slipway"))
            .arg("demo")
            .env("SLIPWAY_LISTEN", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let printed = output.lines().map(Result::unwrap);
        let is_to_paste = |line: &String| {
            [" top-call ", " device listen ", " push --url "]
                .iter()
                .any(|command| line.contains(command))
                || line.starts_with("curl ")
        };
        let lines = printed.filter(is_to_paste).take(8).collect();
        Self { process, lines }
    }

    /// Pastes the line with this number, counted from 1, and returns what it prints.
    fn paste_and_read(&self, number: usize) -> String {
        read(&self.lines[number - 1])
    }

    /// Pastes a line that prints JSON.
    fn paste(&self, number: usize) -> Value {
        let answer = self.paste_and_read(number);
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("line {number} was answered {answer:?}"))
    }
}

/// What a shell prints that is given these lines, and what they leave in the background.
fn read(lines: &str) -> String {
    let shell = Command::new("sh").args(["-c", lines]).output().unwrap();
    assert!(shell.status.success(), "{lines}: {shell:?}");
    String::from_utf8(shell.stdout).unwrap()
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn every_line_of_the_demo_works_when_pasted() {
    let demo = Demo::start();
    assert_eq!(demo.lines.len(), 8);

    let update = demo.paste(1);
    assert_eq!(update["succeed"], true);
    assert!(!update["data"].as_array().unwrap().is_empty(), "{update}");

    let up_to_date = demo.paste(2);
    assert_eq!(up_to_date["data"], json!([]), "{up_to_date}");

    let published = demo.paste(3);
    assert_eq!(published["state"], "published", "{published}");

    let seen = demo.paste(4);
    assert_eq!(seen["data"].as_array().unwrap().len(), 1, "{seen}");
    assert_eq!(
        seen["data"][0]["version_code"], published["version_code"],
        "{seen}"
    );

    let explained = demo.paste(5);
    let verdicts: Vec<_> = explained["resources"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|resource| resource["releases"].as_array().unwrap())
        .map(|release| release["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(verdicts.len(), 8, "{explained}");
    assert!(verdicts.contains(&"offered"), "{explained}");

    let shown = demo.paste_and_read(6);
    assert!(!shown.contains("error_response"), "{shown}");
    let (_, answer) = shown.split_once("\n\n{").expect("the answer is JSON");
    let answer: Value = serde_json::from_str(&format!("{{{answer}")).unwrap();
    let offers = &answer["wdk_rexout_resource_list_check_response"]["data"]["d_t_o"];
    assert_eq!(offers[0]["version_code"], published["version_code"], "{shown}");

    let arrived = read(&demo.lines[6..].join("\n"));
    let (_, id) = arrived.split_once("acknowledged ").expect(&arrived);
    let (id, _) = id.split_once(' ').unwrap();
    assert!(
        arrived.contains(&format!("push {id}  sequence 1  preview")),
        "{arrived}"
    );
    assert!(arrived.contains("  FM8007PDA001  applied  events\n"), "{arrived}");
}
