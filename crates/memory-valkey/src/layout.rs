//! The bytes of keys and values on the server.

use memory_core::{SharedEntry, SharedGroup, SharedKey, SharedTime, SharedValue};

/// The version of the layout. Another one has other keys, so that processes of two
/// versions do not read each other's values.
const VERSION: &str = "1";

/// The longest value that is written, before compression: far more than any that
/// the engine makes, and far less than the server's own limit of 512 MiB.
pub(crate) const MAX_VALUE_BYTES: usize = 64 << 20;

/// Shorter values do not get smaller by enough to be worth the time.
const MIN_COMPRESSED_BYTES: usize = 64;

/// A position: version and time, 8 bytes each, so that the later one is greater as
/// bytes too.
const POSITION_BYTES: usize = 16;

/// Position, form and checksum.
const HEADER_BYTES: usize = POSITION_BYTES + 1 + 4;

/// The form of what follows the header.
pub(crate) const REMOVED: u8 = 0;
const PLAIN: u8 = 1;
const LZ4: u8 = 2;

/// Names keys in one namespace.
#[derive(Debug, Clone)]
pub(crate) struct KeyNames {
    prefix: String,
}

impl KeyNames {
    pub(crate) fn new(namespace: &str) -> Self {
        Self {
            prefix: format!("{namespace}:{VERSION}:"),
        }
    }

    /// The key with the removal of the whole group. The braces make every key of the
    /// group hash to the same slot of a cluster.
    pub(crate) fn group(&self, group: &SharedGroup) -> String {
        let mut name = self.prefix.clone();
        name.push('{');
        push_hex(&mut name, &group.0);
        name.push('}');
        name
    }

    pub(crate) fn key(&self, key: &SharedKey) -> String {
        let mut name = self.group(&key.group);
        name.push(':');
        push_hex(&mut name, &key.id);
        name
    }
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// A position as it is compared on the server.
pub(crate) fn position(version: u64, time: SharedTime) -> [u8; POSITION_BYTES] {
    let mut position = [0; POSITION_BYTES];
    position[..8].copy_from_slice(&version.to_be_bytes());
    position[8..].copy_from_slice(&time.0.to_be_bytes());
    position
}

/// A value as it is written; `None` where it is too long.
pub(crate) fn encode(entry: &SharedEntry) -> Option<Vec<u8>> {
    if entry.bytes.len() > MAX_VALUE_BYTES {
        return None;
    }
    let compressed = (entry.bytes.len() >= MIN_COMPRESSED_BYTES)
        .then(|| lz4_flex::block::compress_prepend_size(&entry.bytes))
        .filter(|compressed| compressed.len() < entry.bytes.len());
    let (form, payload) = match &compressed {
        Some(compressed) => (LZ4, compressed),
        None => (PLAIN, &entry.bytes),
    };
    let mut encoded = Vec::with_capacity(HEADER_BYTES + payload.len());
    encoded.extend_from_slice(&position(entry.version, entry.as_of));
    encoded.push(form);
    let checksum = checksum(&entry.key, &encoded, payload);
    encoded.extend_from_slice(&checksum.to_be_bytes());
    encoded.extend_from_slice(payload);
    Some(encoded)
}

/// The value, unless it or its group was removed, or it is damaged.
pub(crate) fn decode(
    key: &SharedKey,
    encoded: &[u8],
    group_removal: Option<&[u8]>,
) -> Option<SharedValue> {
    let (header, payload) = encoded.split_at_checked(HEADER_BYTES)?;
    let (start, stored) = header.split_at_checked(POSITION_BYTES + 1)?;
    let position = start.get(..POSITION_BYTES)?;
    let removed = group_removal.and_then(|removal| removal.get(..POSITION_BYTES));
    if removed.is_some_and(|removal| removal >= position)
        || stored != checksum(key, start, payload).to_be_bytes()
    {
        return None;
    }
    let bytes = match start.last() {
        Some(&PLAIN) => payload.to_vec(),
        Some(&LZ4) => decompress(payload)?,
        _ => return None,
    };
    let (version, time) = position.split_at_checked(8)?;
    Some(SharedValue {
        version: u64::from_be_bytes(version.try_into().ok()?),
        as_of: SharedTime(u64::from_be_bytes(time.try_into().ok()?)),
        bytes,
    })
}

fn decompress(payload: &[u8]) -> Option<Vec<u8>> {
    let size = u32::from_le_bytes(payload.first_chunk().copied()?);
    // Not more memory than a value may need, whatever the server says.
    if usize::try_from(size).ok()? > MAX_VALUE_BYTES {
        return None;
    }
    lz4_flex::block::decompress_size_prepended(payload).ok()
}

/// Over the key too: a value that got under another key is damaged.
fn checksum(key: &SharedKey, start: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in [&key.group.0[..], &key.id, start, payload] {
        hasher.update(part);
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn entry(bytes: Vec<u8>) -> SharedEntry {
        SharedEntry {
            key: SharedKey::new(SharedGroup([0xAB; 16]), [1; 16]),
            version: 7,
            as_of: SharedTime(9),
            bytes,
            ttl: Duration::from_secs(1),
        }
    }

    #[test]
    fn keys_name_namespace_version_group_and_id() {
        let names = KeyNames::new("game");
        let key = entry(Vec::new()).key;
        let group = format!("game:1:{{{}}}", "ab".repeat(16));
        assert_eq!(names.group(&key.group), group);
        assert_eq!(names.key(&key), format!("{group}:{}", "01".repeat(16)));
    }

    #[test]
    fn values_are_decoded_as_encoded_and_repetitive_ones_get_smaller() {
        for (bytes, is_smaller) in [(vec![], false), (vec![5; 10], false), (vec![5; 999], true)] {
            let entry = entry(bytes);
            let encoded = encode(&entry).unwrap();
            assert_eq!(encoded.len() < entry.bytes.len(), is_smaller);
            let value = decode(&entry.key, &encoded, None).unwrap();
            assert_eq!((value.version, value.as_of.0), (7, 9));
            assert_eq!(value.bytes, entry.bytes);
        }
    }

    #[test]
    fn every_damage_is_noticed() {
        for entry in [entry(b"plain".to_vec()), entry(vec![3; 200])] {
            let encoded = encode(&entry).unwrap();
            for n in 0..encoded.len() {
                for bit in 0..8 {
                    let mut damaged = encoded.clone();
                    damaged[n] ^= 1 << bit;
                    assert_eq!(decode(&entry.key, &damaged, None), None, "byte {n}");
                }
                assert_eq!(decode(&entry.key, &encoded[..n], None), None, "cut at {n}");
            }
            let other = SharedKey::new(entry.key.group, [2; 16]);
            assert_eq!(decode(&other, &encoded, None), None, "under another key");
        }
    }

    #[test]
    fn a_size_that_was_made_up_allocates_nothing() {
        let mut entry = entry(vec![3; 200]);
        let mut payload = lz4_flex::block::compress_prepend_size(&entry.bytes);
        payload[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(decompress(&payload), None);
        entry.bytes = vec![0; MAX_VALUE_BYTES + 1];
        assert_eq!(encode(&entry), None);
    }

    #[test]
    fn a_removed_group_hides_what_is_not_later() {
        let entry = entry(b"value".to_vec());
        let encoded = encode(&entry).unwrap();
        for (version, time, is_hidden) in [
            (7, 8, false),
            (6, 100, false),
            (7, 9, true),
            (8, 0, true),
            (u64::MAX, 0, true),
        ] {
            let mut removal = position(version, SharedTime(time)).to_vec();
            removal.push(REMOVED);
            let value = decode(&entry.key, &encoded, Some(&removal));
            assert_eq!(value.is_none(), is_hidden, "{version} {time}");
        }
    }
}
