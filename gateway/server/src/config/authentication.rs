//! What verifying callers needs to know, from what the file says.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use compose::Diagnostics;
use compose::diagnostic::Diagnostic;
use http::HeaderName;
use http::header::AUTHORIZATION;

use super::convert::beside;
use super::file::authentication as file;
use super::problem::only;

pub(crate) use file::Algorithm;

/// Who asks, and how that is verified. Nothing said: everybody is anonymous.
#[derive(Debug, Clone, Default)]
pub(crate) struct Authentication {
    /// Nobody is answered without credentials.
    pub(crate) required: bool,
    pub(crate) jwt: Option<Jwt>,
    pub(crate) api_keys: Option<ApiKeys>,
}

/// Signed tokens.
#[derive(Debug, Clone)]
pub(crate) struct Jwt {
    /// Where one stands; the first that is there counts.
    pub(crate) places: Vec<TokenPlace>,
    /// Each with a name of its own.
    pub(crate) issuers: Vec<Issuer>,
    pub(crate) max_bytes: usize,
    /// How many verified tokens are remembered.
    pub(crate) cache: u64,
}

/// Where a token stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenPlace {
    /// Behind a prefix and a space, or alone where the prefix is empty.
    Header {
        name: HeaderName,
        prefix: String,
    },
    Cookie(String),
}

/// Whose tokens are accepted, and which.
#[derive(Debug, Clone)]
pub(crate) struct Issuer {
    pub(crate) name: String,
    /// Never empty.
    pub(crate) audiences: Vec<String>,
    pub(crate) keys: KeyPlace,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) required_claims: Vec<String>,
    pub(crate) leeway: Duration,
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyPlace {
    File(PathBuf),
    Url {
        url: String,
        refresh: Duration,
        cool_down: Duration,
    },
}

/// Keys that the gateway's operator gives out.
#[derive(Debug, Clone)]
pub(crate) struct ApiKeys {
    pub(crate) file: PathBuf,
    pub(crate) header: HeaderName,
}

pub(super) fn authentication(
    config: &Path,
    written: file::Authentication,
) -> Result<Authentication, Diagnostics> {
    let jwt = written.jwt.map(|jwt| tokens(config, jwt)).transpose()?;
    let api_keys = written.api_keys.map(|keys| {
        Ok::<_, Diagnostics>(ApiKeys {
            file: beside(config, &keys.file).into(),
            header: header_name("api_keys.header", &keys.header)?,
        })
    });
    let api_keys = api_keys.transpose()?;
    if written.required && jwt.is_none() && api_keys.is_none() {
        return Err(wrong("required", "nobody could be answered")
            .help("say how callers are verified: `jwt`, `api_keys`, or both")
            .into_all());
    }
    Ok(Authentication {
        required: written.required,
        jwt,
        api_keys,
    })
}

fn tokens(config: &Path, written: file::Jwt) -> Result<Jwt, Diagnostics> {
    if written.issuers.is_empty() {
        return Err(wrong("jwt.issuers", "nobody's tokens would be accepted").into_all());
    }
    let mut issuers: Vec<Issuer> = Vec::new();
    for issuer in written.issuers {
        if issuers.iter().any(|other| other.name == issuer.issuer) {
            let twice = format!("`{}` stands there twice", issuer.issuer);
            return Err(wrong("jwt.issuers", &twice).into_all());
        }
        issuers.push(convert_issuer(config, issuer)?);
    }
    let bearer = TokenPlace::Header {
        name: AUTHORIZATION,
        prefix: "Bearer".into(),
    };
    let places = written.from.into_iter().map(place);
    let places: Vec<_> = places.collect::<Result<_, _>>()?;
    Ok(Jwt {
        places: match places.is_empty() {
            true => vec![bearer],
            false => places,
        },
        issuers,
        max_bytes: written.max_token.0,
        cache: written.cache,
    })
}

fn place(written: file::Place) -> Result<TokenPlace, Diagnostics> {
    match (written.header, written.cookie) {
        (Some(name), None) => Ok(TokenPlace::Header {
            name: header_name("jwt.from.header", &name)?,
            prefix: written.prefix,
        }),
        (None, Some(name)) => Ok(TokenPlace::Cookie(name)),
        _ => Err(wrong("jwt.from", "a place is a `header` or a `cookie`").into_all()),
    }
}

fn convert_issuer(config: &Path, written: file::Issuer) -> Result<Issuer, Diagnostics> {
    if written.audiences.is_empty() {
        let all = "a token that was made for another service would be accepted";
        return Err(wrong("jwt.issuers.audiences", all)
            .help("name whom the tokens are for")
            .into_all());
    }
    if written.algorithms.is_empty() {
        return Err(wrong("jwt.issuers.algorithms", "no token could be verified").into_all());
    }
    let keys = match (written.jwks.file, written.jwks.url) {
        (Some(file), None) => KeyPlace::File(beside(config, &file).into()),
        (None, Some(url)) => KeyPlace::Url {
            url,
            refresh: written.jwks.refresh.0,
            cool_down: written.jwks.cool_down.0,
        },
        _ => return Err(wrong("jwt.issuers.jwks", "say `file` or `url`").into_all()),
    };
    Ok(Issuer {
        name: written.issuer,
        audiences: written.audiences,
        keys,
        algorithms: written.algorithms,
        required_claims: written.required_claims,
        leeway: written.leeway.0,
    })
}

fn header_name(key: &str, name: &str) -> Result<HeaderName, Diagnostics> {
    let none = |_| wrong(key, &format!("`{name}` is no name of a header")).into_all();
    HeaderName::try_from(name).map_err(none)
}

/// What is wrong with a key of this section.
struct Wrong(Diagnostic);

fn wrong(key: &str, why: &str) -> Wrong {
    let what = format!("authentication.{key}: {why}");
    Wrong(Diagnostic::error("CONFIG_VALUE", what))
}

impl Wrong {
    fn help(self, help: &str) -> Self {
        Self(self.0.help(help))
    }

    fn into_all(self) -> Diagnostics {
        only(self.0)
    }
}
