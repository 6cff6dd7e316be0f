//! A call, rendered, before it is sent.

use bytes::Bytes;
use compose::model::HeaderRule;
use compose::model::RestMethod;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;

use crate::render::RenderError;
use crate::render::Scope;
use crate::render::headers;

/// A call, rendered: everything that makes two calls the same, identity included, since what a claim or a header changed, it changed here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct HttpCall {
    pub(crate) method: RestMethod,
    /// Path and query below the base address.
    pub(crate) target: String,
    pub(crate) body: Bytes,
    /// What the rules say; without what goes with every call.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl HttpCall {
    /// Bytes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| 64 + name.as_str().len() + value.len());
        self.target.len() + self.body.len() + headers.sum::<usize>()
    }
}

/// Header rules, the weakest first.
pub(crate) struct Rules<'a> {
    pub(crate) configured: &'a HeaderMap,
    pub(crate) source: &'a [HeaderRule],
    pub(crate) operation: &'a [HeaderRule],
}

impl Rules<'_> {
    /// What they say, above the headers that the protocol itself wants.
    pub(crate) fn headers(
        &self,
        own: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
        scope: &Scope<'_>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, RenderError> {
        let mut headers = self.configured.clone();
        for (name, value) in own {
            headers.insert(name, value);
        }
        headers::apply(self.source, scope, &mut headers)?;
        headers::apply(self.operation, scope, &mut headers)?;
        let headers = headers.iter();
        Ok(headers
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect())
    }
}
