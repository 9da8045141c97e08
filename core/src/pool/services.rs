//! Generations behind a load balancer: one for each service that has connections.
//!
//! Source: connection monitoring and pooling specification, "Load Balancer Mode".

use super::ServiceId;
use alloc::collections::BTreeMap;

#[derive(Clone, Copy, Debug, Default)]
struct Service {
    generation: u32,
    connections: u32,
}

/// The map from service to (generation, connection count). It holds no more entries than there are connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Services(BTreeMap<ServiceId, Service>);

impl Services {
    /// The service's generation; 0 for one that has no connections.
    pub(super) fn generation(&self, id: &ServiceId) -> u32 {
        self.0.get(id).map_or(0, |service| service.generation)
    }

    /// One more connection turned out to lead to this service; its generation is returned.
    pub(super) fn enter(&mut self, id: ServiceId) -> u32 {
        let service = self.0.entry(id).or_default();
        service.connections = service.connections.saturating_add(1);
        service.generation
    }

    /// One connection less. The entry goes with the last.
    pub(super) fn leave(&mut self, id: &ServiceId) {
        if let Some(service) = self.0.get_mut(id) {
            service.connections = service.connections.saturating_sub(1);
            if service.connections == 0 {
                self.0.remove(id);
            }
        }
    }

    /// Makes the service's connections stale. A service without connections has nothing to make stale.
    pub(super) fn bump(&mut self, id: &ServiceId) {
        if let Some(service) = self.0.get_mut(id) {
            service.generation = service.generation.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_lives_as_long_as_its_connections() {
        let (a, b) = ([1; 12], [2; 12]);
        let mut services = Services::default();
        assert_eq!((services.enter(a), services.enter(a), services.enter(b)), (0, 0, 0));
        services.bump(&a);
        assert_eq!((services.generation(&a), services.generation(&b), services.enter(a)), (1, 0, 1));
        services.leave(&a);
        services.leave(&a);
        assert_eq!(services.generation(&a), 1);
        services.leave(&a);
        assert_eq!((services.generation(&a), services.0.len()), (0, 1));
        services.bump(&a);
        assert_eq!(services.0.len(), 1);
    }
}
