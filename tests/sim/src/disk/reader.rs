//! What jobs read of a disk.

use super::Image;
use bytes::Bytes;
use crdt::vector::{Range, VersionVector};
use names::{Actor, ChangeHash, ListId, ListName};
use node::lists::{Source, SourceError};
use std::collections::BTreeMap;

/// Reads committed rows.
#[derive(Debug)]
pub struct Reader<'a> {
    image: &'a Image,
    broken: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(image: &'a Image, broken: bool) -> Self {
        Self { image, broken }
    }

    fn image(&self) -> Result<&Image, SourceError> {
        if self.broken {
            Err(SourceError {
                reason: "it is being reopened".into(),
                is_damage: false,
            })
        } else {
            Ok(self.image)
        }
    }
}

impl Source for Reader<'_> {
    fn name(&self, list: ListId) -> Result<Option<ListName>, SourceError> {
        Ok(self.image()?.lists.get(&list).map(|row| row.name.clone()))
    }

    fn vector(&self, list: ListId) -> Result<VersionVector, SourceError> {
        Ok(self.image()?.vector(list))
    }

    fn snapshot(&self, list: ListId) -> Result<Option<(VersionVector, Bytes)>, SourceError> {
        Ok(self.image()?.snapshots.get(&list).cloned())
    }

    fn left_out(&self, list: ListId) -> Result<Vec<Bytes>, SourceError> {
        let all = self.image()?.left_out.iter();
        let here = all.filter(|((of, _), _)| *of == list);
        Ok(here.map(|(_, one)| one.bytes().clone()).collect())
    }

    fn made(&self, list: ListId) -> Result<BTreeMap<Actor, u64>, SourceError> {
        let all = self.image()?.made.iter();
        let here = all.filter(|((of, _), _)| *of == list);
        Ok(here.map(|((_, actor), seq)| (*actor, *seq)).collect())
    }

    fn aside(&self, list: ListId) -> Result<Vec<ChangeHash>, SourceError> {
        let all = self.image()?.aside.keys();
        Ok(all
            .filter(|(of, _)| *of == list)
            .map(|(_, hash)| *hash)
            .collect())
    }

    fn changes_aside(&self, list: ListId) -> Result<Vec<Bytes>, SourceError> {
        let all = self.image()?.aside.iter();
        let here = all.filter(|((of, _), _)| *of == list);
        Ok(here.map(|(_, bytes)| bytes.clone()).collect())
    }

    fn changes(&self, list: ListId, range: Range) -> Result<Vec<Bytes>, SourceError> {
        let keys = (list, range.actor, range.from)..=(list, range.actor, range.to);
        Ok(self
            .image()?
            .changes
            .range(keys)
            .map(|(_, bytes)| bytes.clone())
            .collect())
    }
}
