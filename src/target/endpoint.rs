//! Where a target is and how it is spoken to: its address, TLS, a proxy, and headers of its own.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::target::Secret;

/// A scheme, host and port, and what comes before `/serviceconfigs` in a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Whether it is `https`.
    pub is_tls: bool,
    /// The host, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Host and port as they stand in the URL.
    pub authority: String,
    /// What comes before `/serviceconfigs` in a path; often nothing.
    pub prefix: String,
}

impl Address {
    /// Reads a base URL; `Err` says what is wrong with it.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        let uri: http::Uri = url.parse().map_err(|_| "it is not a URL")?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("it must start with `http://` or `https://`"),
        };
        let authority = uri.authority().ok_or("it has no host")?;
        if authority.as_str().contains('@') {
            return Err("it must not contain credentials");
        }
        if uri.query().is_some() || url.contains('#') {
            return Err("it must not have a query or fragment");
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err("it has no host");
        }
        let is_named = authority.as_str().len() > authority.host().len();
        let port = match authority.port_u16() {
            Some(port) => port,
            None if is_named => return Err("its port is not valid"),
            None => {
                if is_tls {
                    443
                } else {
                    80
                }
            }
        };
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self {
            is_tls,
            host,
            port,
            authority: authority.as_str().to_owned(),
            prefix,
        })
    }

    /// Whether it is this machine.
    pub fn is_loopback(&self) -> bool {
        let is_local_name = self.host.eq_ignore_ascii_case("localhost");
        is_local_name || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// HTTP/1.1, as TLS agrees on it.
pub(crate) const HTTP_1: &[u8] = b"http/1.1";
/// HTTP/2.
pub(crate) const HTTP_2: &[u8] = b"h2";

/// How an `https` target shows who it is, and the suite to it.
#[derive(Debug, Default)]
pub struct Tls {
    /// Certificates of authorities that are trusted beside the system's.
    pub authorities: Vec<CertificateDer<'static>>,
    /// The chain of certificates that is shown to the target, and its key.
    pub client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    /// Whether any certificate will do; for loopback targets only.
    pub self_signed: bool,
}

impl Tls {
    /// The settings as the TLS library takes them; reading the system's certificates takes a while.
    pub fn config(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let verifier: Arc<dyn ServerCertVerifier> = if self.self_signed {
            Arc::new(AnyCertificate(provider))
        } else {
            let mut roots = RootCertStore::empty();
            // What of the system's store cannot be read is not trusted; if it was needed, the handshake says so.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            for authority in &self.authorities {
                roots
                    .add(authority.clone())
                    .map_err(|error| format!("cannot use a certificate of `tls.authorities`: {error}"))?;
            }
            if roots.is_empty() {
                let advice =
                    "install the system's `ca-certificates`, or add the target's authority to `tls.authorities`";
                return Err(format!("this machine trusts no certificate authority: {advice}"));
            }
            let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| error.to_string())?;
            Arc::new(OwnAuthority {
                authorities,
                named: self.authorities.clone(),
            })
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match &self.client {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(|error| format!("cannot use the client certificate and its key: {error}"))?,
            None => builder.with_no_client_auth(),
        };
        // A request keeps its letters and its length on this version alone; the description may ask for another one.
        config.alpn_protocols = vec![HTTP_1.to_vec()];
        Ok(config)
    }
}

impl Clone for Tls {
    fn clone(&self) -> Self {
        let client = self
            .client
            .as_ref()
            .map(|(chain, key)| (chain.clone(), key.clone_key()));
        Self {
            authorities: self.authorities.clone(),
            client,
            self_signed: self.self_signed,
        }
    }
}

/// Accepts what the authorities vouch for, and a certificate that is itself named among them: `openssl req -x509` makes such a one.
#[derive(Debug)]
struct OwnAuthority {
    authorities: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for OwnAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self
            .authorities
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // Its dates were looked at before this was found.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(error)))
                if error.to_string() == "CaUsedAsEndEntity" && self.named.contains(end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// Accepts whatever certificate a loopback target shows. It must have the key, where the library can read the certificate.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        any_version(verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        ))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        any_version(verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        ))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A certificate that the library does not read, such as one of X.509 version 1, is any certificate as well.
fn any_version(
    verified: Result<HandshakeSignatureValid, rustls::Error>,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    match verified {
        Err(rustls::Error::InvalidCertificate(CertificateError::BadEncoding | CertificateError::Other(_))) => {
            Ok(HandshakeSignatureValid::assertion())
        }
        verified => verified,
    }
}

/// An HTTP proxy between the suite and the target.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Where it is.
    pub address: Address,
    /// The value of its `Proxy-Authorization` header.
    pub authorization: Option<Secret>,
}

/// A header that goes with every request.
#[derive(Clone)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether the value came from outside the target file, and must not be written anywhere.
    pub is_secret: bool,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_read_to_its_parts() {
        let address = Address::parse("https://mpsd.example/prefix").unwrap();
        assert_eq!(
            (address.is_tls, address.host.as_str(), address.port),
            (true, "mpsd.example", 443)
        );
        assert_eq!(address.prefix, "/prefix");
        let address = Address::parse("http://[::1]:8080").unwrap();
        assert_eq!(
            (address.host.as_str(), address.port, address.authority.as_str()),
            ("::1", 8080, "[::1]:8080")
        );
    }

    #[test]
    fn what_is_no_base_url_is_told() {
        for url in [
            "",
            "mpsd.example",
            "ftp://x",
            "http://",
            "http://u:p@x",
            "http://x?y",
            "http://x:99999",
            "http://x#y",
        ] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (url, expected) in [
            ("https://localhost:1", true),
            ("https://127.0.0.9", true),
            ("https://[::1]", true),
            ("https://localhost.example", false),
            ("https://10.0.0.1", false),
        ] {
            assert_eq!(Address::parse(url).unwrap().is_loopback(), expected, "{url}");
        }
    }
}
