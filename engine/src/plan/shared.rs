//! How what rules share is written: as what it is, for each rule anew. Where it matters that it is one again, whoever reads
//! many rules sees to it ([`super::Rule::each_expression`]).

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes what is shared.
pub(super) fn serialize<T, S>(shared: &Arc<T>, to: S) -> Result<S::Ok, S::Error>
where
    T: Serialize + ?Sized,
    S: Serializer,
{
    shared.as_ref().serialize(to)
}

/// Reads it.
pub(super) fn deserialize<'de, D, T>(from: D) -> Result<Arc<T>, D::Error>
where
    T: ?Sized,
    Box<T>: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Box::<T>::deserialize(from).map(Arc::from)
}

/// Names.
pub(super) mod names {
    use super::{Arc, Deserialize, Deserializer, Serializer};
    use crate::plan::Name;

    pub(in crate::plan) fn serialize<S: Serializer>(
        names: &[Name],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(names.iter().map(Arc::as_ref))
    }

    pub(in crate::plan) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Name>, D::Error> {
        let names = Vec::<Box<str>>::deserialize(from)?;
        Ok(names.into_iter().map(Arc::from).collect())
    }
}

/// Where a rule came from.
pub(super) mod origin {
    use super::{Arc, Deserialize, Deserializer, Serialize, Serializer};

    pub(in crate::plan) fn serialize<S: Serializer>(
        (file, line): &(Arc<str>, u32),
        to: S,
    ) -> Result<S::Ok, S::Error> {
        (file.as_ref(), line).serialize(to)
    }

    pub(in crate::plan) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<(Arc<str>, u32), D::Error> {
        let (file, line) = <(Box<str>, u32)>::deserialize(from)?;
        Ok((file.into(), line))
    }
}

/// Bytes that may not be there.
pub(super) mod contents {
    use super::{Arc, Deserialize, Deserializer, Serialize, Serializer};

    pub(in crate::plan) fn serialize<S: Serializer>(
        contents: &Option<Arc<[u8]>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        contents.as_deref().serialize(to)
    }

    pub(in crate::plan) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Arc<[u8]>>, D::Error> {
        let contents = Option::<Box<[u8]>>::deserialize(from)?;
        Ok(contents.map(Arc::from))
    }
}
