//! The digests that S3 knows an object by, and verifies uploads with.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::refusal;
use crate::sandbox::wire::Request;
use crate::sandbox::world::Refusal;

/// Verifies the checksums that came with a request, on whatever operation.
///
/// The algorithms that are not verified are not accepted either: S3 would not ignore them.
pub(in crate::sandbox) fn verify(request: &Request) -> Result<(), Refusal> {
    if let Some(given) = request.header("content-md5")
        && given != STANDARD.encode(md5(&request.body))
    {
        return Err(refusal(
            400,
            "BadDigest",
            "The Content-MD5 you specified did not match what we received.",
        ));
    }
    let prefix = "x-amz-checksum-";
    let checksums = request
        .headers
        .iter()
        .filter_map(|(name, given)| Some((name.strip_prefix(prefix)?, given)));
    for (algorithm, given) in checksums.filter(|(name, _)| !matches!(*name, "mode" | "type")) {
        let found = checksum(algorithm, &request.body)
            .ok_or_else(|| Refusal::not_modelled("S3", &format!("{prefix}{algorithm}")))?;
        if *given != found {
            let message = format!(
                "The {} you specified did not match the calculated checksum.",
                algorithm.to_uppercase()
            );
            return Err(refusal(400, "BadDigest", &message));
        }
    }
    Ok(())
}

/// A checksum in base64, as headers carry it.
fn checksum(algorithm: &str, body: &[u8]) -> Option<String> {
    let encoded = match algorithm {
        "sha256" => STANDARD.encode(Sha256::digest(body)),
        "crc32" => STANDARD.encode(crc(0xEDB8_8320, 32, body).to_be_bytes().split_at(4).1),
        "crc32c" => STANDARD.encode(crc(0x82F6_3B78, 32, body).to_be_bytes().split_at(4).1),
        "crc64nvme" => STANDARD.encode(crc(0x9A6C_9329_AC4B_C9B5, 64, body).to_be_bytes()),
        _ => return None,
    };
    Some(encoded)
}

/// A reflected cyclic redundancy check that begins and ends with all bits inverted.
fn crc(polynomial: u64, width: u32, body: &[u8]) -> u64 {
    let ones = u64::MAX >> (64 - width);
    let mut table = [0_u64; 256];
    for (entry, byte) in table.iter_mut().zip(0_u64..) {
        *entry = (0..8).fold(byte, |value, _| {
            if value & 1 == 1 {
                value >> 1 ^ polynomial
            } else {
                value >> 1
            }
        });
    }
    let step =
        |value: u64, byte: &u8| table[usize::from(value.to_le_bytes()[0] ^ byte)] ^ value >> 8;
    body.iter().fold(ones, step) ^ ones
}

/// MD5, which `ETag` is for objects that were uploaded in one part; nothing relies on its strength.
pub(super) fn md5(body: &[u8]) -> [u8; 16] {
    const SHIFTS: [[u32; 4]; 4] = [
        [7, 12, 17, 22],
        [5, 9, 14, 20],
        [4, 11, 16, 23],
        [6, 10, 15, 21],
    ];
    let mut padded = body.to_vec();
    padded.push(0x80);
    padded.resize(padded.len() + (119 - body.len() % 64) % 64, 0);
    let bits = u64::try_from(body.len())
        .unwrap_or(u64::MAX)
        .wrapping_mul(8);
    padded.extend(bits.to_le_bytes());
    let constants = constants();
    let mut state: [u32; 4] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476];
    for block in padded.chunks_exact(64) {
        let words: Vec<u32> = block
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
            .collect();
        let [mut a, mut b, mut c, mut d] = state;
        for round in 0..64 {
            let (mix, index) = match round / 16 {
                0 => (b & c | !b & d, round),
                1 => (d & b | !d & c, (5 * round + 1) % 16),
                2 => (b ^ c ^ d, (3 * round + 5) % 16),
                _ => (c ^ (b | !d), (7 * round) % 16),
            };
            let sum = a
                .wrapping_add(mix)
                .wrapping_add(constants[round])
                .wrapping_add(words[index]);
            let turned = b.wrapping_add(sum.rotate_left(SHIFTS[round / 16][round % 4]));
            (a, d, c, b) = (d, c, b, turned);
        }
        for (sum, value) in state.iter_mut().zip([a, b, c, d]) {
            *sum = sum.wrapping_add(value);
        }
    }
    let mut digest = [0; 16];
    for (place, word) in digest.chunks_exact_mut(4).zip(state) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    digest
}

/// MD5's constants: the sine's first 32 fractional bits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 2^32 by definition"
)]
fn constants() -> [u32; 64] {
    std::array::from_fn(|index| {
        let angle = f64::from(u32::try_from(index).unwrap_or_default() + 1);
        (angle.sin().abs() * 4_294_967_296.0) as u32
    })
}

#[cfg(test)]
mod tests {
    use super::{Request, checksum, md5, verify};
    use crate::sandbox::world::hex;

    #[test]
    fn the_published_test_vectors_come_out() {
        assert_eq!(hex(&md5(b"")), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(
            hex(&md5(b"message digest")),
            "f96b697d7cb7938d525a2f31aaf161d0"
        );
        let digits = "1234567890".repeat(8);
        assert_eq!(
            hex(&md5(digits.as_bytes())),
            "57edf4a22be3c955ac49da2e2107b67a"
        );
        assert_eq!(hex(&md5(&[b'a'; 63])), "b06521f39153d618550606be297466d5");
        assert_eq!(checksum("crc32", b"123456789").as_deref(), Some("y/Q5Jg=="));
        assert_eq!(
            checksum("crc32c", b"123456789").as_deref(),
            Some("4waSgw==")
        );
        assert_eq!(
            checksum("crc64nvme", b"123456789").as_deref(),
            Some("rosUhgp5mIg=")
        );
    }

    #[test]
    fn a_wrong_checksum_is_a_bad_digest_and_an_unknown_one_is_refused() {
        let refused = |name: &str, value: &str| {
            let headers = [(name.to_owned(), value.to_owned())].into();
            verify(&Request {
                headers,
                body: b"123456789".to_vec(),
                ..Request::default()
            })
            .map_err(|refusal| refusal.code)
        };
        assert_eq!(refused("x-amz-checksum-crc32", "y/Q5Jg=="), Ok(()));
        assert_eq!(
            refused("x-amz-checksum-crc32", "AAAAAA=="),
            Err("BadDigest".to_owned())
        );
        assert_eq!(refused("content-md5", "AAAA"), Err("BadDigest".to_owned()));
        assert_eq!(
            refused("x-amz-checksum-xxhash3", "AAAA"),
            Err("SandboxNotModelled".to_owned())
        );
    }
}
