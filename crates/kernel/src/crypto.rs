//! Field encryption (AES-256-GCM), keyed blind indexes for equality lookup, and signatures of cursors.

use std::{collections::BTreeMap, fmt};

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::{AnyId, Error, Result};

const NONCE: usize = 12;

/// A keyed hash of a normalised value: equal values have equal indexes, and nothing else can be told.
pub type BlindIndex = Vec<u8>;

/// The secret keys of one installation.
///
/// Sealed values carry the number of their key, so that old values stay readable while
/// `kehu keys rotate` seals them anew with the current key. The index secret is separate and stays.
pub struct Keyring {
    current: u16,
    ciphers: BTreeMap<u16, Aes256Gcm>,
    index_key: [u8; 32],
    cursor_key: [u8; 32],
    link_key: [u8; 32],
    development: bool,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring(current {}, {} keys)", self.current, self.ciphers.len())
    }
}

impl Keyring {
    /// Reads `number:base64,number:base64…`; the highest number is the current key. `index_secret` is
    /// base64 too. Every secret has 32 bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the part that cannot be read, never showing it.
    pub fn parse(data_keys: &str, index_secret: &str) -> Result<Self> {
        let mut ciphers = BTreeMap::new();
        for part in data_keys.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (number, key) = part.split_once(':').ok_or_else(|| broken("data_keys", "expected number:base64"))?;
            let number: u16 = number.trim().parse().map_err(|_| broken("data_keys", "a key number is 0 to 65535"))?;
            let cipher = Aes256Gcm::new(&secret("data_keys", key)?.into());
            if ciphers.insert(number, cipher).is_some() {
                return Err(broken("data_keys", "two keys have the same number"));
            }
        }
        let current = *ciphers.keys().next_back().ok_or_else(|| broken("data_keys", "at least one key is needed"))?;
        let root = secret("index_key", index_secret)?;
        Ok(Self {
            current,
            ciphers,
            index_key: derive(&root, b"index")?,
            cursor_key: derive(&root, b"cursor")?,
            link_key: derive(&root, b"link")?,
            development: false,
        })
    }

    /// Well-known keys for development; a server on a public address refuses to start with them.
    ///
    /// # Errors
    /// Never in practice: the constants are well formed.
    pub fn development() -> Result<Self> {
        let zeros = BASE64.encode([7_u8; 32]);
        let keys = Self::parse(&format!("1:{zeros}"), &zeros)?;
        Ok(Self { development: true, ..keys })
    }

    /// Whether these are the well-known development keys.
    #[must_use]
    pub const fn is_development(&self) -> bool {
        self.development
    }

    /// Number of the key that seals new values.
    #[must_use]
    pub const fn current(&self) -> u16 {
        self.current
    }

    /// Encrypts a value, bound to its column (`label`) and its row: a ciphertext that is copied to
    /// another row or column does not open there.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub fn seal<T>(&self, label: &str, row: crate::Id<T>, value: &str) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE] = rand::random();
        let cipher = self.cipher(self.current)?;
        let aad = associated(label, row.cast());
        let sealed = cipher
            .encrypt(&nonce.into(), Payload { msg: value.as_bytes(), aad: &aad })
            .map_err(|_| Error::internal("sealing failed"))?;
        Ok([&self.current.to_be_bytes()[..], &nonce, &sealed].concat())
    }

    /// Decrypts what [`Keyring::seal`] made.
    ///
    /// # Errors
    /// [`Error::Internal`] when the key is missing or the value was tampered with.
    pub fn open<T>(&self, label: &str, row: crate::Id<T>, sealed: &[u8]) -> Result<String> {
        let number = key_number(sealed)?;
        let (nonce, text) = sealed
            .get(2..)
            .and_then(|rest| rest.split_first_chunk::<NONCE>())
            .ok_or_else(|| Error::internal("a sealed value is too short"))?;
        let aad = associated(label, row.cast());
        let plain = self
            .cipher(number)?
            .decrypt(&(*nonce).into(), Payload { msg: text, aad: &aad })
            .map_err(|_| Error::internal(format!("a sealed value of {label} does not open")))?;
        String::from_utf8(plain).map_err(Error::internal)
    }

    /// Whether a sealed value was sealed by another key than the current one.
    #[must_use]
    pub fn is_outdated(&self, sealed: &[u8]) -> bool {
        key_number(sealed).is_ok_and(|number| number != self.current)
    }

    /// The blind index of an already normalised value of a column.
    #[must_use]
    pub fn blind_index(&self, label: &str, value: &str) -> BlindIndex {
        mac(&self.index_key, &[label.as_bytes(), &[0], value.as_bytes()]).to_vec()
    }

    /// Signs a link that takes the place of a token: with a key that signs nothing else, and in full length.
    #[must_use]
    pub fn sign_link(&self, content: &[u8]) -> [u8; 32] {
        mac(&self.link_key, &[content])
    }

    /// Whether `signature` is one of [`Keyring::sign_link`], compared in constant time.
    #[must_use]
    pub fn verify_link(&self, content: &[u8], signature: &[u8]) -> bool {
        subtle::ConstantTimeEq::ct_eq(&self.sign_link(content)[..], signature).into()
    }

    /// Signs what a client hands back later: cursors.
    #[must_use]
    pub fn sign(&self, content: &[u8]) -> [u8; 16] {
        let full = mac(&self.cursor_key, &[content]);
        *full.first_chunk().unwrap_or(&[0; 16])
    }

    /// Whether `signature` is ours, compared in constant time.
    #[must_use]
    pub fn verify(&self, content: &[u8], signature: &[u8]) -> bool {
        subtle::ConstantTimeEq::ct_eq(&self.sign(content)[..], signature).into()
    }

    fn cipher(&self, number: u16) -> Result<&Aes256Gcm> {
        self.ciphers.get(&number).ok_or_else(|| Error::internal(format!("data key {number} is not configured")))
    }
}

/// The key of one file, which is encrypted in chunks, so that it can be read from anywhere. The key itself is kept sealed
/// by the keyring: rotation seals it anew without touching the file, and a file whose key is deleted is gone.
pub struct FileKey(Aes256Gcm);

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey")
    }
}

impl FileKey {
    /// How many bytes a sealed chunk is longer than the plain one.
    pub const OVERHEAD: usize = NONCE + 16;

    /// The text of a new key, to be sealed and kept.
    #[must_use]
    pub fn generate() -> String {
        BASE64.encode(rand::random::<[u8; 32]>())
    }

    /// The key of a text that [`FileKey::generate`] made.
    ///
    /// # Errors
    /// [`Error::Internal`] for any other text.
    pub fn read(text: &str) -> Result<Self> {
        let bytes: [u8; 32] = secret("file_key", text).map_err(|_| Error::internal("a file key is no key"))?;
        Ok(Self(Aes256Gcm::new(&bytes.into())))
    }

    /// Encrypts a chunk, bound to its file (`label`) and its place in it.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub fn seal(&self, label: &str, number: u64, plain: &[u8]) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE] = rand::random();
        let aad = [label.as_bytes(), &[0], &number.to_be_bytes()].concat();
        let sealed =
            self.0.encrypt(&nonce.into(), Payload { msg: plain, aad: &aad }).map_err(|_| Error::internal("sealing failed"))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Decrypts what [`FileKey::seal`] made.
    ///
    /// # Errors
    /// [`Error::Internal`] when the chunk is not the one that stood there.
    pub fn open(&self, label: &str, number: u64, sealed: &[u8]) -> Result<Vec<u8>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE>().ok_or_else(|| Error::internal("a chunk is too short"))?;
        let aad = [label.as_bytes(), &[0], &number.to_be_bytes()].concat();
        self.0
            .decrypt(&(*nonce).into(), Payload { msg: text, aad: &aad })
            .map_err(|_| Error::internal(format!("chunk {number} of {label} does not open")))
    }
}

fn key_number(sealed: &[u8]) -> Result<u16> {
    sealed.first_chunk().map(|bytes| u16::from_be_bytes(*bytes)).ok_or_else(|| Error::internal("a sealed value is empty"))
}

fn associated(label: &str, row: AnyId) -> Vec<u8> {
    [label.as_bytes(), &[0], row.as_bytes()].concat()
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // The hash's block is longer than the key; HMAC pads a key with zeros, so the result is the same.
    let mut block = [0; 64];
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn derive(root: &[u8; 32], purpose: &[u8]) -> Result<[u8; 32]> {
    let mut key = [0; 32];
    hkdf::Hkdf::<Sha256>::new(None, root).expand(purpose, &mut key).map_err(Error::internal_display)?;
    Ok(key)
}

fn secret(name: &str, text: &str) -> Result<[u8; 32]> {
    let bytes = BASE64.decode(text.trim()).map_err(|_| broken(name, "expected base64"))?;
    bytes.try_into().map_err(|_| broken(name, "expected 32 bytes"))
}

fn broken(name: &str, message: &str) -> Error {
    Error::invalid(format!("/{name}"), "invalid_key", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(numbers: &[u8]) -> Keyring {
        let key = |byte: u8| BASE64.encode([byte; 32]);
        let keys: Vec<String> = numbers.iter().map(|number| format!("{number}:{}", key(*number))).collect();
        Keyring::parse(&keys.join(","), &key(99)).unwrap()
    }

    #[test]
    fn sealed_values_open_only_where_they_belong() {
        let keys = ring(&[1]);
        let row: AnyId = AnyId::new();
        let sealed = keys.seal("identities.number", row, "310101199003071234").unwrap();
        assert_eq!(keys.open("identities.number", row, &sealed).unwrap(), "310101199003071234");
        assert!(keys.open("identities.number", AnyId::new(), &sealed).is_err());
        assert!(keys.open("accounts.number", row, &sealed).is_err());
        let mut tampered = sealed;
        *tampered.last_mut().unwrap() ^= 1;
        assert!(keys.open("identities.number", row, &tampered).is_err());
    }

    #[test]
    fn chunks_open_only_in_their_place() {
        let key = FileKey::read(&FileKey::generate()).unwrap();
        let sealed = key.seal("rows", 3, b"abc").unwrap();
        assert_eq!(sealed.len(), 3 + FileKey::OVERHEAD);
        assert_eq!(key.open("rows", 3, &sealed).unwrap(), b"abc");
        assert!(key.open("rows", 4, &sealed).is_err());
        assert!(key.open("file", 3, &sealed).is_err());
        assert!(FileKey::read(&FileKey::generate()).unwrap().open("rows", 3, &sealed).is_err());
        assert!(FileKey::read("short").is_err());
    }

    #[test]
    fn links_have_a_key_of_their_own() {
        let keys = ring(&[1]);
        let signature = keys.sign_link(b"link");
        assert!(keys.verify_link(b"link", &signature) && !keys.verify_link(b"other", &signature));
        assert_ne!(keys.sign(b"link")[..], signature[..16]);
    }

    #[test]
    fn rotation_reads_the_old_and_writes_the_new() {
        let row: AnyId = AnyId::new();
        let old = ring(&[1]).seal("x", row, "secret").unwrap();
        let both = ring(&[1, 2]);
        assert!(both.is_outdated(&old));
        assert_eq!(both.open("x", row, &old).unwrap(), "secret");
        let new = both.seal("x", row, "secret").unwrap();
        assert!(!both.is_outdated(&new));
        assert_eq!(both.blind_index("x", "secret"), ring(&[1]).blind_index("x", "secret"));
    }
}
