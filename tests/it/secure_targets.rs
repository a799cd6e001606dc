//! Targets behind TLS and proxies, through the program itself.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;

use crate::network::{Request, answer, listen};
use crate::program::{Ended, Serving, program, text};

/// An authority, and what it vouches for.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, in PEM.
struct Certified {
    chain: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Certified {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Certified {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    fn pem(&self) -> String {
        self.0.pem()
    }
}

/// Takes TLS off what it passes on to a service; with an authority, only for clients that it vouches for.
fn terminate(upstream: SocketAddr, certified: &Certified, clients: Option<&Authority>) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots
                .add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap())
                .unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = CertificateDer::pem_slice_iter(certified.chain.as_bytes())
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_slice(certified.key.as_bytes()).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut outbound = tokio::net::TcpStream::connect(upstream).await.unwrap();
                    if let Ok(mut inbound) = acceptor.accept(stream).await {
                        let _ = copy_bidirectional(&mut inbound, &mut outbound).await;
                    }
                });
            }
        });
    });
    receiver.recv().unwrap()
}

/// A service behind TLS, with files beside its description.
struct Secure {
    serving: Serving,
    authority: Authority,
}

impl Secure {
    fn new() -> Self {
        let secure = Self {
            serving: Serving::start(),
            authority: Authority::new(),
        };
        secure.write("ca.pem", &secure.authority.pem());
        secure
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.serving.path(name), text).unwrap();
        self.serving.path(name)
    }

    fn terminate(&self, certified: &Certified) -> SocketAddr {
        terminate(self.serving.address(), certified, None)
    }

    /// A run of a few cases, some over a socket, against a description that is changed first.
    fn run(&self, change: impl FnOnce(&mut Value)) -> Ended {
        let mut target: Value = serde_json::from_str(&std::fs::read_to_string(self.serving.target()).unwrap()).unwrap();
        change(&mut target);
        let file = self.write("changed.json", &target.to_string());
        program(["run", "--target", text(&file), "conditional", "realtime"])
    }

    fn is_refused(&self, url: &str, words: &str, tls: &Value) {
        let ended = self.run(|target| {
            target["baseUrl"] = url.into();
            target["tls"] = tls.clone();
        });
        assert_eq!(ended.code, 4, "{}{}", ended.stdout, ended.stderr);
        assert!(ended.stderr.contains(words), "`{words}` in {}", ended.stderr);
    }
}

fn passes(ended: &Ended) {
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn requests_and_sockets_go_over_tls_to_whom_an_authority_vouches_for() {
    let secure = Secure::new();
    let address = secure.terminate(&secure.authority.issue("localhost", |_| {}));
    passes(&secure.run(|target| {
        target["baseUrl"] = format!("https://localhost:{}", address.port()).into();
        target["tls"] = json!({ "authorities": ["ca.pem"] });
    }));
    secure.is_refused(
        &format!("https://localhost:{}", address.port()),
        "unknown issuer of its certificate",
        &json!({}),
    );
    secure.is_refused(
        &format!("https://{address}"),
        "not for `127.0.0.1`",
        &json!({ "authorities": ["ca.pem"] }),
    );
}

#[test]
fn any_certificate_will_do_on_this_machine_where_the_description_says_so() {
    let secure = Secure::new();
    let own = rcgen::generate_simple_self_signed(["elsewhere.example".to_owned()]).unwrap();
    let address = secure.terminate(&Certified {
        chain: own.cert.pem(),
        key: own.signing_key.serialize_pem(),
    });
    passes(&secure.run(|target| {
        target["baseUrl"] = format!("https://{address}").into();
        target["tls"] = json!({ "selfSigned": true });
    }));
    secure.is_refused(
        &format!("https://{address}"),
        "unknown issuer of its certificate",
        &json!({}),
    );
}

#[test]
fn what_is_wrong_with_a_certificate_or_a_scheme_is_told() {
    let secure = Secure::new();
    let trusted = json!({ "authorities": ["ca.pem"] });
    let expired = secure
        .authority
        .issue("localhost", |params| params.not_after = date_time_ymd(2020, 1, 1));
    let expired = secure.terminate(&expired);
    secure.is_refused(
        &format!("https://localhost:{}", expired.port()),
        "its certificate has expired",
        &trusted,
    );
    let early = secure
        .authority
        .issue("localhost", |params| params.not_before = date_time_ymd(2090, 1, 1));
    let early = secure.terminate(&early);
    secure.is_refused(
        &format!("https://localhost:{}", early.port()),
        "its certificate is not valid yet",
        &trusted,
    );
    let plain = secure.serving.address();
    secure.is_refused(
        &format!("https://{plain}"),
        "the port does not use TLS: change `baseUrl` to `http://`",
        &trusted,
    );
    let ended = secure.run(|target| target["baseUrl"] = format!("http://{expired}").into());
    assert_eq!(ended.code, 4, "{}", ended.stderr);
    assert!(ended.stderr.contains("the port uses TLS"), "{}", ended.stderr);
}

#[test]
fn a_service_that_wants_a_certificate_is_shown_one() {
    let secure = Secure::new();
    let server = secure.authority.issue("localhost", |_| {});
    let address = terminate(secure.serving.address(), &server, Some(&secure.authority));
    let client = secure.authority.issue("suite", |_| {});
    secure.write("suite.pem", &client.chain);
    secure.write("suite.key", &client.key);
    let url = format!("https://localhost:{}", address.port());
    passes(&secure.run(|target| {
        target["baseUrl"] = url.clone().into();
        target["tls"] = json!({ "authorities": ["ca.pem"], "certificate": "suite.pem", "key": "suite.key" });
    }));
    secure.is_refused(
        &url,
        "set `tls.certificate` and `tls.key` to one that it trusts",
        &json!({ "authorities": ["ca.pem"] }),
    );
}

/// A proxy that wants credentials; it tunnels, and passes on requests that it reads. The address, and how often it was used.
fn proxy() -> (SocketAddr, Arc<AtomicUsize>) {
    let used = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&used);
    let address = listen(move |mut stream| {
        let Some(request) = Request::read(&stream) else { return };
        if request.header("proxy-authorization") != Some("Basic of-the-proxy-alone") {
            let _ = answer(&mut stream, 407, "", "");
            return;
        }
        count.fetch_add(1, Ordering::SeqCst);
        let place = request
            .path
            .trim_start_matches("http://")
            .split('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        let place = place.replace("localhost", "127.0.0.1");
        let Ok(mut outbound) = TcpStream::connect(place) else {
            return;
        };
        if request.method == "CONNECT" {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        } else {
            // One request a connection is enough for a proxy that only shows that it is used.
            let head = request.head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
            let _ = outbound
                .write_all(format!("{head}\r\n").as_bytes())
                .and_then(|()| outbound.write_all(&request.body));
        }
        let (mut from, mut to) = (stream.try_clone().unwrap(), outbound.try_clone().unwrap());
        std::thread::spawn(move || io::copy(&mut from, &mut to));
        let _ = io::copy(&mut outbound, &mut stream);
        let _ = stream.shutdown(std::net::Shutdown::Both);
    });
    (address, used)
}

#[test]
fn a_proxy_is_gone_through_with_its_credentials_and_never_by_the_environment() {
    let secure = Secure::new();
    let (address, used) = proxy();
    secure.write("proxy.txt", "Basic of-the-proxy-alone\n");
    let through = json!({ "url": format!("http://{address}"), "authorization": { "file": "proxy.txt" } });
    passes(&secure.run(|target| target["proxy"] = through.clone()));
    let plain = used.swap(0, Ordering::SeqCst);
    assert!(plain > 50, "{plain}");
    let tls = secure.terminate(&secure.authority.issue("localhost", |_| {}));
    passes(&secure.run(|target| {
        target["baseUrl"] = format!("https://localhost:{}", tls.port()).into();
        target["tls"] = json!({ "authorities": ["ca.pem"] });
        target["proxy"] = through.clone();
    }));
    assert!(used.load(Ordering::SeqCst) > 10);
    let refused = secure.run(|target| {
        target["baseUrl"] = format!("https://localhost:{}", tls.port()).into();
        target["proxy"] = format!("http://{address}").into();
    });
    assert_eq!(refused.code, 4);
    assert!(
        refused.stderr.contains("it requires credentials (407)"),
        "{}",
        refused.stderr
    );
    used.store(0, Ordering::SeqCst);
    let target = secure.serving.target();
    let mut command = crate::program::command(["run", "--target", text(&target), "conditional"]);
    let ended = command
        .env("HTTP_PROXY", format!("http://{address}"))
        .env("http_proxy", format!("http://{address}"))
        .output()
        .unwrap();
    assert!(ended.status.success());
    assert_eq!(used.load(Ordering::SeqCst), 0);
}
