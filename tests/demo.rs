//! The demo as a new user tries it: starts it, reads its output, and pastes its lines into a shell.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use slipway::demo::packages::{DemoPackage, NEW_RELEASE, RELEASED};
use slipway_package_maker::{Apk, Label, Signing, TestKey, icon};

/// A running demo. It stops when dropped.
struct Demo {
    process: Child,
    lines: Vec<String>,
}

impl Demo {
    /// Starts the demo and reads its output up to the last line to paste.
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
            [
                " top-call ",
                " device listen ",
                " push --url ",
                " publish --server ",
            ]
            .iter()
            .any(|command| line.contains(command))
                || line.starts_with("curl ")
        };
        let lines = printed.filter(is_to_paste).take(9).collect();
        Self { process, lines }
    }

    /// Pastes the line with this number, counted from 1, and returns its output.
    fn paste_and_read(&self, number: usize) -> String {
        read(&self.lines[number - 1])
    }

    /// Pastes a line that prints JSON.
    fn paste(&self, number: usize) -> Value {
        let answer = self.paste_and_read(number);
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("line {number} was answered {answer:?}"))
    }
}

/// Returns the output of a shell that runs these lines, including their background processes.
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
    assert_eq!(demo.lines.len(), 9);

    let update = demo.paste(1);
    assert_eq!(update["succeed"], true);
    assert!(!update["data"].as_array().unwrap().is_empty(), "{update}");

    let up_to_date = demo.paste(2);
    assert_eq!(up_to_date["data"], json!([]), "{up_to_date}");

    let published = demo.paste(3)["releases"][0]["release"].take();
    assert_eq!(published["state"], "published", "{published}");
    assert_eq!(published["origin"], "artifact", "{published}");

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

    let arrived = read(&demo.lines[6..8].join("\n"));
    let (_, id) = arrived.split_once("acknowledged ").expect(&arrived);
    let (id, _) = id.split_once(' ').unwrap();
    assert!(
        arrived.contains(&format!("push {id}  sequence 1  preview")),
        "{arrived}"
    );
    assert!(arrived.contains("  FM8007PDA001  applied  events\n"), "{arrived}");

    let directory = tempfile::tempdir().unwrap();
    let downloaded = read(&format!("cd {}; {}", directory.path().display(), demo.lines[8]));
    let package = RELEASED
        .iter()
        .find(|package| package.version_code == 121)
        .unwrap();
    let digest = hex::encode(Sha256::digest(package.bytes));
    assert_eq!(downloaded, format!("{digest}  handheld.apk\n"));
}

/// Compares the packages in the tree with the maker's output. `SLIPWAY_WRITE_DEMO_PACKAGES=1` writes them.
#[test]
fn the_packages_are_those_that_the_maker_makes() {
    for package in RELEASED.iter().chain([&NEW_RELEASE]) {
        let made = made(package);
        let path = format!("src/demo/packages/{}", package.filename());
        if std::env::var_os("SLIPWAY_WRITE_DEMO_PACKAGES").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        assert!(std::fs::read(&path).unwrap() == made, "{path} is out of date");
    }
}

fn made(package: &DemoPackage) -> Vec<u8> {
    let (label, version_name, color) = match package.version_code {
        120 => ("Freshmart Handheld", "3.1.0", [0, 120, 60]),
        121 => ("Freshmart Handheld", "3.2.0", [0, 150, 60]),
        41 => ("Receiving", "1.4.0", [200, 120, 0]),
        42 => ("Receiving", "1.5.0", [220, 120, 0]),
        _ => ("Receiving", "1.5.1", [240, 120, 0]),
    };
    let mut apk = Apk::new(package.identifier, package.version_code.into(), version_name);
    apk.label = Label::Literal(label.to_owned());
    apk.icons = Some([icon(color), icon(color)]);
    apk.signed(&Signing::of(TestKey::App))
}
