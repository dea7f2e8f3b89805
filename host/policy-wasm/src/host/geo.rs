//! `geo`: where addresses are. In `configure` the databases of the configuration that
//! is being tried are asked. Limits: `host_calls`, `host_bytes`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bindings::geo::{Coordinates, GeoError, Host, Place};
use crate::bindings::types::IpAddress;
use crate::host::HostState;

impl Host for HostState {
    fn locate(&mut self, address: IpAddress) -> wasmtime::Result<Result<Place, GeoError>> {
        self.charge_call(0)?;
        let Some(place) = self.services.geo.locate(ip(address), self.asking()) else {
            return Ok(Err(GeoError::Unavailable));
        };
        self.charge_bytes(place.country.len().saturating_add(place.organisation.len()))?;
        Ok(Ok(Place {
            country: place.country,
            asn: place.asn,
            organisation: place.organisation,
            coordinates: place.coordinates.map(|middle| Coordinates {
                latitude: middle.latitude,
                longitude: middle.longitude,
            }),
        }))
    }
}

fn ip(address: IpAddress) -> IpAddr {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => {
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h))
        }
    }
}
