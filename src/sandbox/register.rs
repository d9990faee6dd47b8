//! A list that does not get slow: what an emulated vendor holds, in the order it came, and found by its id at once.
//!
//! Knows nothing of either vendor.

use std::collections::{BTreeMap, HashMap};

/// Entries in the order they came. The place of an entry says where it stands; it stays when others go.
#[derive(Debug)]
pub(super) struct Register<T> {
    entries: BTreeMap<u64, T>,
    places: HashMap<String, u64>,
    last: u64,
}

impl<T> Default for Register<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), places: HashMap::new(), last: 0 }
    }
}

impl<T> Register<T> {
    /// Puts an entry at the end, under an id that no other has; returns its place.
    pub(super) fn push(&mut self, id: &str, entry: T) -> u64 {
        self.last += 1;
        self.places.insert(id.to_owned(), self.last);
        self.entries.insert(self.last, entry);
        self.last
    }

    /// Where the entry of this id stands.
    pub(super) fn place(&self, id: &str) -> Option<u64> {
        self.places.get(id).copied()
    }

    /// The entry of this id.
    pub(super) fn get(&self, id: &str) -> Option<&T> {
        self.at(self.place(id)?)
    }

    /// The entry of this id, to be changed.
    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        let place = self.place(id)?;
        self.entries.get_mut(&place)
    }

    /// The entry at this place.
    pub(super) fn at(&self, place: u64) -> Option<&T> {
        self.entries.get(&place)
    }

    /// Takes the entry of this id out.
    pub(super) fn remove(&mut self, id: &str) -> Option<T> {
        let place = self.places.remove(id)?;
        self.entries.remove(&place)
    }

    /// All entries with their places, oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &T)> {
        self.entries.iter().map(|(place, entry)| (*place, entry))
    }

    /// All entries, oldest first.
    pub(super) fn values(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.entries.values()
    }

    /// All entries, oldest first, to be changed.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.values_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_keep_their_order_and_their_places_when_others_go() {
        let mut register = Register::default();
        for id in ["b", "a", "c"] {
            register.push(id, id.to_uppercase());
        }
        assert_eq!(register.remove("a").as_deref(), Some("A"));
        assert!(register.get("a").is_none() && register.remove("a").is_none());
        register.push("d", "D".to_owned());
        register.get_mut("c").unwrap().push('!');
        let left: Vec<(u64, &str)> = register.iter().map(|(place, entry)| (place, entry.as_str())).collect();
        assert_eq!(left, [(1, "B"), (3, "C!"), (4, "D")]);
        assert_eq!(register.at(register.place("d").unwrap()).unwrap(), "D");
    }
}
