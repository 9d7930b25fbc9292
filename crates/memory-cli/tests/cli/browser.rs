//! A headless Chromium, driven over its DevTools protocol. By a pipe, the protocol is
//! JSON messages that end in NUL, so it needs no WebSocket, and a dozen of its methods
//! need no client that compiles all of them.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The variable with the path of the browser.
const CHROMIUM: &str = "MEMORY_TEST_CHROMIUM";

/// The longest time for an answer, and for something to appear in the page.
const LIMIT: Duration = Duration::from_secs(30);

/// A browser with one page; it ends when this is dropped.
pub(crate) struct Browser {
    child: Child,
    stdin: ChildStdin,
    messages: Receiver<Value>,
    last_id: u64,
    session: Option<String>,
    /// What the page reported: exceptions, and violations of its policy.
    pub(crate) errors: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    pub(crate) fn start() -> Self {
        let program = env::var_os(CHROMIUM).expect("cargo xtask inspector sets the browser's path");
        let profile = tempfile::tempdir().expect("a temporary folder");
        // The browser reads messages from descriptor 3 and writes them to 4.
        let mut command = Command::new("sh");
        command
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#])
            .arg(program)
            .args(["--headless", "--remote-debugging-pipe", "--disable-gpu"])
            // It shows only our page, and a container has no user namespaces.
            .args(["--no-sandbox", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--hide-scrollbars", "--force-color-profile=srgb"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let stdin = child.stdin.take().expect("it was piped");
        let stdout = child.stdout.take().expect("it was piped");
        let (sender, messages) = channel();
        thread::spawn(move || {
            for message in BufReader::new(stdout).split(0) {
                let Ok(message) = message else { return };
                let parsed = serde_json::from_slice(&message).expect("a message is JSON");
                if sender.send(parsed).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self {
            child,
            stdin,
            messages,
            last_id: 0,
            session: None,
            errors: Vec::new(),
            _profile: profile,
        };
        browser.open_page();
        browser
    }

    fn open_page(&mut self) {
        let created = self.call("Target.createTarget", &json!({"url": "about:blank"}));
        let target = &created["targetId"];
        let attach = json!({"targetId": target, "flatten": true});
        let attached = self.call("Target.attachToTarget", &attach);
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), &json!({}));
        }
        self.call(
            "Emulation.setTimezoneOverride",
            &json!({"timezoneId": "UTC"}),
        );
        self.call("Emulation.setLocaleOverride", &json!({"locale": "en-US"}));
    }

    /// Calls a method of the protocol and returns its result.
    #[track_caller]
    fn call(&mut self, method: &str, params: &Value) -> Value {
        let answer = self.try_call(method, params);
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Calls a method of the protocol and returns its result or its error.
    #[track_caller]
    fn try_call(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        self.last_id += 1;
        let id = self.last_id;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let written = self.stdin.write_all(format!("{message}\0").as_bytes());
        written.expect("the browser reads");
        loop {
            let answer = self.messages.recv_timeout(LIMIT);
            let mut answer = answer.unwrap_or_else(|_| panic!("no answer to {method}"));
            if answer["id"] == id {
                return match answer["error"].take() {
                    Value::Null => Ok(answer["result"].take()),
                    error => Err(error),
                };
            }
            self.note_error(answer);
        }
    }

    /// Keeps an event that reports a fault of the page.
    fn note_error(&mut self, event: Value) {
        let entry = &event["params"]["entry"];
        let is_fault = match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            // A refused token is an error of the network.
            Some("Log.entryAdded") => entry["level"] == "error" && entry["source"] != "network",
            _ => false,
        };
        if is_fault {
            self.errors.push(event);
        }
    }

    /// Cuts the page off from the network, or connects it again.
    pub(crate) fn set_offline(&mut self, offline: bool) {
        let conditions = json!({"offline": offline, "latency": 0,
            "downloadThroughput": -1, "uploadThroughput": -1});
        self.call("Network.emulateNetworkConditions", &conditions);
    }

    pub(crate) fn open(&mut self, url: &str) {
        self.call("Page.navigate", &json!({ "url": url }));
    }

    /// Sets the size of the page in CSS pixels, and the color scheme.
    pub(crate) fn show_as(&mut self, width: u32, height: u32, scheme: &str) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", &size);
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.call(
            "Emulation.setEmulatedMedia",
            &json!({"features": [feature]}),
        );
    }

    /// The value of a JavaScript expression.
    #[track_caller]
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.call("Runtime.evaluate", &params);
        let failure = &answer["exceptionDetails"];
        assert!(failure.is_null(), "{expression}: {failure}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, condition: &str) {
        let params = json!({"expression": format!("Boolean({condition})"), "returnByValue": true});
        let start = Instant::now();
        loop {
            // While a page is loaded there may be none to ask.
            let answer = self.try_call("Runtime.evaluate", &params);
            if answer.is_ok_and(|it| it["result"]["value"] == true) {
                return;
            }
            if start.elapsed() > LIMIT {
                let text = self.evaluate("document.body.innerText");
                panic!("never true: {condition}; errors {:?}; {text}", self.errors);
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The text of the first element that a selector finds.
    #[track_caller]
    pub(crate) fn text(&mut self, selector: &str) -> String {
        let found = format!("document.querySelector({selector:?})");
        self.wait_for(&found);
        let text = self.evaluate(&format!("{found}.textContent"));
        text.as_str().expect("a text").to_owned()
    }

    /// Clicks the middle of the first element that a selector finds.
    #[track_caller]
    pub(crate) fn click(&mut self, selector: &str) {
        let found = format!("document.querySelector({selector:?})");
        self.wait_for(&found);
        let middle = self.evaluate(&format!(
            "(() => {{ const it = {found}; it.scrollIntoView({{block: 'center'}}); \
             const box = it.getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": middle[0], "y": middle[1],
                "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", &event);
        }
    }

    /// Types into the element with the focus.
    pub(crate) fn write(&mut self, text: &str) {
        self.call("Input.insertText", &json!({ "text": text }));
    }

    /// Presses a key: a character, or `Enter`.
    pub(crate) fn press(&mut self, key: &str) {
        let text = if key == "Enter" { "\r" } else { key };
        let mut event = json!({"type": "keyDown", "key": key, "text": text});
        if key == "Enter" {
            event["windowsVirtualKeyCode"] = json!(13);
        }
        self.call("Input.dispatchKeyEvent", &event);
        event["type"] = json!("keyUp");
        self.call("Input.dispatchKeyEvent", &event);
    }

    /// The roles of controls and pictures that screen readers have no name for.
    pub(crate) fn unnamed(&mut self) -> Vec<String> {
        const NAMED: [&str; 10] = [
            "button",
            "combobox",
            "image",
            "link",
            "meter",
            "navigation",
            "region",
            "searchbox",
            "spinbutton",
            "textbox",
        ];
        let tree = self.call("Accessibility.getFullAXTree", &json!({}));
        let nodes = tree["nodes"].as_array().expect("nodes").iter();
        let is_unnamed = |node: &&Value| {
            let role = node["role"]["value"].as_str().unwrap_or_default();
            let name = node["name"]["value"].as_str().unwrap_or_default();
            node["ignored"] == false && NAMED.contains(&role) && name.trim().is_empty()
        };
        nodes.filter(is_unnamed).map(Value::to_string).collect()
    }

    pub(crate) fn save_picture(&mut self, path: &Path) {
        let picture = self.call("Page.captureScreenshot", &json!({"format": "png"}));
        let data = picture["data"].as_str().expect("a picture");
        let bytes = BASE64_STANDARD.decode(data).expect("base64");
        fs::write(path, bytes).expect("the folder can be written");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
