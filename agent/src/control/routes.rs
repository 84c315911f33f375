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
        let (shown, steered): (Vec<&Arc<Preview>>, Vec<_>) = previews.iter().partition(|it| it.is_shown());
        let are = |legs: &mut dyn Iterator<Item = &Arc<Leg>>, wanted: &[&Arc<Preview>]| {
            legs.map(|leg| Arc::as_ptr(&leg.preview)).eq(wanted.iter().map(|it| Arc::as_ptr(it)))
        };
        let same_legs =
            are(&mut now.legs.iter(), &steered) && are(&mut now.shown.iter().map(|shown| &shown.leg), &shown);
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
                    let Leg { index, losses, copies, .. } = &**leg;
                    let (losses, copies) = (losses.clone(), copies.clone());
                    Arc::new(Leg { preview: preview.clone(), index: *index, losses, copies })
                }
                None => match tables.add_route(&record())? {
                    Some(index) => {
                        let (losses, copies) = Default::default();
                        Arc::new(Leg { preview: preview.clone(), index, losses, copies })
                    }
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
    let matcher = match (&route.matcher, route.copies_percent) {
        (Some(matcher), None) => matcher.to_string(),
        (None, None) => "default carriers".to_owned(),
        (Some(matcher), Some(percent)) => format!("copies of {percent}%: {matcher}"),
        (None, Some(percent)) => format!("copies of {percent}%"),
    };
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
