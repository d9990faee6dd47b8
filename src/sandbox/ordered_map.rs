//! A map that keeps insertion order: the calls, recordings, uploads and transcripts of an emulated vendor.

use std::collections::{BTreeMap, HashMap};

/// Entries by id, in insertion order. Each entry has a serial number that stays when other entries are removed.
#[derive(Debug)]
pub(super) struct OrderedMap<T> {
    entries: BTreeMap<u64, T>,
    serials: HashMap<String, u64>,
    last: u64,
}

impl<T> Default for OrderedMap<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), serials: HashMap::new(), last: 0 }
    }
}

impl<T> OrderedMap<T> {
    /// Appends an entry whose id is new; returns its serial number.
    pub(super) fn push(&mut self, id: &str, entry: T) -> u64 {
        self.last += 1;
        self.serials.insert(id.to_owned(), self.last);
        self.entries.insert(self.last, entry);
        self.last
    }

    pub(super) fn serial(&self, id: &str) -> Option<u64> {
        self.serials.get(id).copied()
    }

    pub(super) fn get(&self, id: &str) -> Option<&T> {
        self.by_serial(self.serial(id)?)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        let serial = self.serial(id)?;
        self.entries.get_mut(&serial)
    }

    pub(super) fn by_serial(&self, serial: u64) -> Option<&T> {
        self.entries.get(&serial)
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<T> {
        let serial = self.serials.remove(id)?;
        self.entries.remove(&serial)
    }

    /// Iterates over entries and their serial numbers, oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &T)> {
        self.entries.iter().map(|(serial, entry)| (*serial, entry))
    }

    /// Iterates over entries, oldest first.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.values_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_keep_their_order_and_serial_numbers_when_others_are_removed() {
        let mut map = OrderedMap::default();
        for id in ["b", "a", "c"] {
            map.push(id, id.to_uppercase());
        }
        assert_eq!(map.remove("a").as_deref(), Some("A"));
        assert!(map.get("a").is_none() && map.remove("a").is_none());
        map.push("d", "D".to_owned());
        map.get_mut("c").unwrap().push('!');
        let left: Vec<(u64, &str)> = map.iter().map(|(serial, entry)| (serial, entry.as_str())).collect();
        assert_eq!(left, [(1, "B"), (3, "C!"), (4, "D")]);
        assert_eq!(map.by_serial(map.serial("d").unwrap()).unwrap(), "D");
    }
}
