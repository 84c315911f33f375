//! Previews that are shown what their target gets, and answer nobody: packets are copied by programs at the pod's
//! interfaces, put together here, and whole requests are sent on. Nothing here is on the way of a request; whatever is too
//! much is dropped as a whole, and counted.
//!
//! The way of a copy: [`reading`] takes it out of the ring, a [`flow`] puts a connection's packets together and finds the
//! requests, [`shower`] queues them for each preview, and [`http1`] or [`http2`] asks the preview.

mod answers;
mod audience;
mod ending;
mod flow;
mod http1;
mod http2;
mod pace;
mod part;
mod reading;
mod shower;
mod spare;
#[cfg(test)]
mod testing;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
};

use crate::{
    kernel::{Hook, HookError, Template},
    snapshot::{Copies, Shown},
    tables::Tables,
    target::Target,
};
use pace::Pace;

/// The part that all targets share. Started by the first one that is shown to somebody.
pub(crate) struct Mirror {
    tables: Arc<Tables>,
    template: Arc<Template>,
    /// Whether its programs are filters of clsact although the kernel has TCX.
    clsact: bool,
    started: OnceLock<Arc<Targets>>,
    /// Of all previews, for metrics.
    totals: Arc<Copies>,
    /// Packets a second that are copied although the processors have no time left.
    when_busy: u32,
}

/// Whose packets are copied, by the cookie of their namespace.
#[derive(Default)]
struct Targets(Mutex<HashMap<u64, Copying>>);

struct Copying {
    target: Weak<Target>,
    ports: BTreeMap<u16, Arc<Pace>>,
}

/// What is copied of one target.
#[derive(Default)]
pub(crate) struct Mirrored {
    ports: BTreeMap<u16, Arc<Pace>>,
    hooks: Vec<Hook>,
}

impl Targets {
    fn all(&self) -> MutexGuard<'_, HashMap<u64, Copying>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose a port is, and how much of it is copied.
    fn of(&self, ns: u64, port: u32) -> Option<(Arc<Target>, Arc<Pace>)> {
        let all = self.all();
        let copying = all.get(&ns)?;
        let pace = copying.ports.get(&u16::try_from(port).ok()?)?.clone();
        Some((copying.target.upgrade()?, pace))
    }

    /// Whether packets are copied as this says, and no other has come in its place.
    fn copies(&self, ns: u64, pace: &Pace) -> bool {
        let is_it = |it: &Arc<Pace>| std::ptr::eq(&raw const **it, pace);
        self.all().get(&ns).is_some_and(|copying| copying.ports.values().any(is_it))
    }
}

impl Mirror {
    pub(crate) const fn new(
        tables: Arc<Tables>,
        template: Arc<Template>,
        clsact: bool,
        totals: Arc<Copies>,
        when_busy: u32,
    ) -> Self {
        Self { tables, template, clsact, started: OnceLock::new(), totals, when_busy }
    }

    fn targets(&self) -> Result<&Arc<Targets>, HookError> {
        if let Some(targets) = self.started.get() {
            return Ok(targets);
        }
        let copies = self.template.copies()?;
        let targets = Arc::<Targets>::default();
        reading::start(copies, &targets, &self.tables, self.totals.clone(), self.when_busy)?;
        Ok(self.started.get_or_init(|| targets))
    }
}

impl Mirrored {
    /// Has the copies be those that the target's routes ask for.
    pub(crate) fn follow(
        &mut self,
        mirror: &Mirror,
        target: &Arc<Target>,
        ports: &[u16],
    ) -> Result<(), HookError> {
        let routes = target.routes.load();
        let of = |port: u16| {
            let percent = routes.shown(port).map(Shown::percent).max()?;
            Some((port, (percent, routes.shown(port).any(Shown::needs_bodies))))
        };
        let wanted: BTreeMap<u16, (u32, bool)> = ports.iter().filter_map(|port| of(*port)).collect();
        if wanted.is_empty() {
            return self.end(mirror, target).map_err(HookError::from);
        }
        let targets = mirror.targets()?;
        for port in self.ports.keys().filter(|port| !wanted.contains_key(port)) {
            mirror.tables.end_mirroring(target.ns, *port)?;
        }
        self.ports.retain(|port, _| wanted.contains_key(port));
        for (port, (percent, is_whole)) in wanted {
            let new = || Arc::new(Pace::new(target.ns, port, percent, is_whole));
            let pace = self.ports.entry(port).or_insert_with(new);
            pace.ask(percent, is_whole);
            pace.write(&mirror.tables)?;
        }
        let copying = Copying { target: Arc::downgrade(target), ports: self.ports.clone() };
        targets.all().insert(target.ns, copying);
        if self.hooks.is_empty() {
            self.hooks = target.netns.run(|| {
                let hooks = Hook::mirror_all(&mirror.template, target.ns, mirror.clsact);
                Ok(hooks)
            })??;
        }
        Ok(())
    }

    /// Copies nothing any more.
    pub(crate) fn end(&mut self, mirror: &Mirror, target: &Target) -> io::Result<()> {
        if self.hooks.is_empty() && self.ports.is_empty() {
            return Ok(());
        }
        let hooks = std::mem::take(&mut self.hooks);
        // Filters of clsact are detached in their namespace. Of a pod that has gone there is nothing to detach.
        if let Err(error) = target.netns.run(|| {
            drop(hooks);
            Ok(())
        }) {
            tracing::debug!(%error, target = target.name, "copies end with the pod");
        }
        if let Some(targets) = mirror.started.get() {
            targets.all().remove(&target.ns);
        }
        let ports = std::mem::take(&mut self.ports);
        ports.keys().try_for_each(|port| mirror.tables.end_mirroring(target.ns, *port))
    }
}
