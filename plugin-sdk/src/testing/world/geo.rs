//! The interface `geo`.

use super::with;
use crate::Capability;
use crate::bindings::geo::{GeoError, Place};
use crate::bindings::types::IpAddress;

pub(crate) fn locate(address: IpAddress) -> Result<Place, GeoError> {
    with(|world| {
        world.demand(Capability::Geo);
        if world.places.is_empty() {
            return Err(GeoError::Unavailable);
        }
        let address = crate::source::from_raw(address);
        let holding = world
            .places
            .iter()
            .filter(|(network, _)| network.contains(address));
        let longest = holding.max_by_key(|(network, _)| network.prefix());
        Ok(longest.map_or_else(Place::unknown, |(_, place)| place.clone()))
    })
}
