//! Who the gateway is to its sources, from what the file says.
//!
//! Owns reading the certificates that the file names.

use std::path::Path;

use compose::Diagnostics;
use compose::diagnostic::Diagnostic;
use sources::Credentials;
use sources::Identity;
use sources::OAuth;
use sources::OAuthStyle;
use sources::Tls;

use super::convert::beside;
use super::file::credentials as file;
use super::problem::only;

pub(super) fn credentials(
    config: &Path,
    written: &file::Credentials,
) -> Result<Credentials, Diagnostics> {
    Ok(match (&written.basic, &written.oauth2) {
        (Some(basic), None) => Credentials::Basic {
            user: basic.user.clone(),
            password: basic.password.0.clone().into(),
        },
        (None, Some(oauth)) => Credentials::OAuth(OAuth {
            token_url: oauth.token_url.clone(),
            client_id: oauth.client_id.clone(),
            client_secret: oauth.client_secret.0.clone().into(),
            scopes: oauth.scopes.clone(),
            audience: oauth.audience.clone(),
            style: match oauth.auth {
                file::ClientAuth::Basic => OAuthStyle::Basic,
                file::ClientAuth::Body => OAuthStyle::Body,
            },
            tls: tls(config, &oauth.tls)?,
        }),
        _ => return Err(wrong("`credentials` are `basic` or `oauth2`".into())),
    })
}

pub(super) fn tls(config: &Path, written: &file::Tls) -> Result<Tls, Diagnostics> {
    let read_some = |path: &Option<String>| {
        let path = path.as_ref();
        path.map(|path| read(config, path)).transpose()
    };
    let identity = match (read_some(&written.certificate)?, read_some(&written.key)?) {
        (None, None) => None,
        (Some(certificates), Some(key)) => Some(Identity {
            certificates,
            key: key.into(),
        }),
        _ => return Err(wrong("`tls.certificate` and `tls.key` go together".into())),
    };
    let tls = Tls {
        authorities: read_some(&written.ca)?,
        identity,
    };
    match tls.check() {
        Ok(()) => Ok(tls),
        Err(why) => Err(wrong(format!("`tls`: {why}"))),
    }
}

fn read(config: &Path, path: &str) -> Result<String, Diagnostics> {
    let path = beside(config, path);
    std::fs::read_to_string(&path).map_err(|error| {
        let why = format!("{path} cannot be read: {error}");
        only(Diagnostic::error("FILE_NOT_FOUND", why))
    })
}

fn wrong(why: String) -> Diagnostics {
    only(Diagnostic::error("CONFIG_VALUE", why))
}
