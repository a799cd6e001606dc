//! A target that is asked over HTTP/2, where its description says so.

use std::io::Read as _;
use std::sync::mpsc;

use crate::network::listen;
use crate::program::{Serving, program, text};

#[test]
fn requests_are_of_http_2_and_sockets_of_http_1_where_the_description_says_so() {
    let serving = Serving::start();
    serving.change(|target| target["http2"] = true.into());
    let target = serving.target();
    let ended = program(["run", "--target", text(&target), "conditional", "realtime/a-su*"]);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(program(["validate", "target", text(&target)]).code, 0);

    let (sender, receiver) = mpsc::channel();
    let address = listen(move |mut stream| {
        let mut preface = [0; 24];
        let _ = stream.read_exact(&mut preface);
        let _ = sender.send(preface);
    });
    serving.change(|target| target["baseUrl"] = format!("http://{address}").into());
    program(["target", "check", text(&target)]);
    assert_eq!(&receiver.recv().unwrap(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
}
