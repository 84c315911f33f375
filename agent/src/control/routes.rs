//! The routes of one target: what has changed is written, and what has not is left alone.

use std::{collections::HashMap, io, net::IpAddr, sync::Arc};

use byway_abi::{RouteRecord, Text};
use byway_api::Key;

use super::{
    Attached,
    requests::{Counted, Requests},
};
use crate::{
    snapshot::{Leg, Preview, Routes},
    tables::Tables,
};

impl Attached {
    /// Brings the routes to these previews, in order of priority.
    pub(super) fn set_routes(
        &mut self,
        tables: &Tables,
        requests: &mut Requests,
        previews: &[Arc<Preview>],
        origins: &Arc<HashMap<IpAddr, Key>>,
    ) -> io::Result<()> {
        let target = &self.attachment.target;
        let now = target.routes.load();
        let same_legs = now.legs.len() == previews.len()
            && now.legs.iter().zip(previews).all(|(leg, preview)| Arc::ptr_eq(&leg.preview, preview));
        if same_legs
            && Arc::ptr_eq(&now.origins, origins)
            && now.unkeyed == self.wanted.unkeyed
            && now.ports == self.wanted.ports
        {
            return Ok(());
        }

        // New routes first, then the switch, then the old ones: no index is freed that a worker may still count on.
        let mut legs = Vec::with_capacity(previews.len());
        let mut live = HashMap::with_capacity(previews.len());
        self.refused.clear();
        for (rank, preview) in previews.iter().enumerate() {
            let name = &preview.route.name;
            let record = || record(target.slot.index(), rank, preview);
            let leg = match self.routes.get(name) {
                Some((before, leg)) if *before == rank && Arc::ptr_eq(&leg.preview, preview) => leg.clone(),
                Some((_, leg)) => {
                    tables.change_route(leg.index, &record())?;
                    let (index, losses) = (leg.index, leg.losses.clone());
                    Arc::new(Leg { preview: preview.clone(), index, losses })
                }
                None => match tables.add_route(&record())? {
                    Some(index) => Arc::new(Leg { preview: preview.clone(), index, losses: Arc::default() }),
                    None => {
                        self.refused.push(name.clone());
                        continue;
                    }
                },
            };
            live.insert(name.clone(), (rank, leg.clone()));
            legs.push(leg);
        }
        let before = std::mem::replace(&mut self.routes, live);
        let routes = Routes::new(legs, origins.clone(), self.wanted.unkeyed, self.wanted.ports.clone());
        self.losers = routes.losers();
        target.set_routes(Arc::new(routes));
        let gone = before.iter().filter(|(name, _)| !self.routes.contains_key(*name));
        gone.map(|(name, (_, leg))| (name, leg)).try_for_each(|(name, leg)| {
            requests.retire(name, &Counted::of(tables, leg));
            tables.remove_route(leg.index)
        })
    }
}

fn record(slot: u32, rank: usize, preview: &Preview) -> RouteRecord {
    let route = &preview.route;
    let matcher = route.matcher.as_ref().map_or_else(|| "default carriers".to_owned(), ToString::to_string);
    let backends: Vec<String> =
        route.backends.iter().flat_map(|b| b.ips.iter().map(ToString::to_string)).collect();
    RouteRecord {
        slot,
        rank: rank as u32,
        expires_at: route.expires_at.map_or(0, |at| at.as_second().unsigned_abs()),
        preview: Text::new(&route.name),
        key: Text::new(route.key.as_str()),
        matcher: Text::new(&matcher),
        backends: Text::new(&backends.join(" ")),
    }
}
