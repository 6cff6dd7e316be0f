//! The five services of the example, each behind a proxy of its own.

use proxy::Fault;
use proxy::Proxy;
use switchboard_subgraphs::Faults;
use switchboard_subgraphs::Running;
use switchboard_subgraphs::Service;
use tokio::net::TcpListener;

/// The services, in the order of [`Service::ALL`].
pub(crate) struct Shop {
    pub(crate) services: Vec<Behind>,
}

/// A service and what stands before it.
pub(crate) struct Behind {
    pub(crate) service: Running,
    pub(crate) proxy: Proxy,
}

impl Shop {
    pub(crate) async fn open() -> anyhow::Result<Self> {
        let mut services = Vec::new();
        for service in Service::ALL {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let service = service.serve(listener, Faults::NONE)?;
            let proxy = Proxy::before(service.address()).await?;
            services.push(Behind { service, proxy });
        }
        Ok(Self { services })
    }

    /// What tells the gateway where they are.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let variable = |it: &Behind| {
            let name = it.service.name().to_uppercase();
            (format!("{name}_URL"), it.proxy.url())
        };
        self.services.iter().map(variable).collect()
    }

    /// Calls that reached each proxy so far.
    pub(crate) fn calls(&self) -> Vec<u64> {
        let calls = |it: &Behind| it.proxy.counts().requests;
        self.services.iter().map(calls).collect()
    }

    pub(crate) async fn heal(&self) {
        for behind in &self.services {
            behind.service.faults().set(Faults::NONE);
            behind.proxy.set(Fault::None).await;
        }
    }
}
