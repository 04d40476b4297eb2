//! Where events may be posted to: `https` URLs at public addresses, and the networks that the settings name.
//!
//! A name is resolved once, all its addresses are judged, and the connection goes to exactly those: what a name says a
//! moment later does not matter.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use ureq::http::Uri;

/// Never, whatever the settings name: this network, link-local and the services of clouds that hand out credentials,
/// multicast, reserved.
const NEVER_V4: &[Ipv4Net] = &[
    v4([0, 0, 0, 0], 8),
    v4([100, 100, 100, 200], 32),
    v4([168, 63, 129, 16], 32),
    v4([169, 254, 0, 0], 16),
    v4([192, 0, 0, 192], 32),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
];

/// What is no public address (RFC 6890 and its registry): only where the settings name it.
const INSIDE_V4: &[Ipv4Net] = &[
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
];

/// Never: what stands for another address (mapped, translated, tunnelled), link-local, multicast, credentials of clouds.
const NEVER_V6: &[Ipv6Net] = &[
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128),
    v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96),
    v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96),
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
];

/// The public addresses, but for these parts of them.
const PUBLIC_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
const INSIDE_V6: &[Ipv6Net] =
    &[v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20)];

const fn v4(octets: [u8; 4], prefix: u8) -> Ipv4Net {
    let [a, b, c, d] = octets;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(segments: [u16; 8], prefix: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

/// Which addresses may be posted to.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// Networks of the bank itself that may be posted to although they are not public.
    pub networks: Vec<IpNet>,
    /// Whether `http` is taken as well.
    pub plain_http: bool,
}

impl Addresses {
    /// Whether this address may be connected to.
    #[must_use]
    pub fn allow(&self, address: IpAddr) -> bool {
        let (never, public) = match address {
            IpAddr::V4(address) => {
                let within = |list: &[Ipv4Net]| list.iter().any(|net| net.contains(&address));
                (within(NEVER_V4), !within(INSIDE_V4))
            }
            IpAddr::V6(address) => {
                let within = |list: &[Ipv6Net]| list.iter().any(|net| net.contains(&address));
                (within(NEVER_V6), PUBLIC_V6.contains(&address) && !within(INSIDE_V6))
            }
        };
        !never && (public || self.networks.iter().any(|net| net.contains(&address)))
    }

    /// What is wrong with a URL, if anything. Names are judged when they are resolved, at each attempt.
    #[must_use]
    pub fn fault(&self, url: &str) -> Option<&'static str> {
        let Ok(uri) = url.parse::<Uri>() else { return Some("This is no URL.") };
        let Some(authority) = uri.authority() else { return Some("Give a whole URL: https://host/path.") };
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if self.plain_http => {}
            _ => return Some("Events are posted over https only."),
        }
        if authority.as_str().contains('@') || url.contains('#') || authority.host().is_empty() {
            return Some("The URL may hold no user, no password and no fragment.");
        }
        let literal = authority.host().trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        literal.is_ok_and(|address| !self.allow(address)).then_some("Events are not posted to this address.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_public_addresses_are_posted_to() {
        let addresses = Addresses::default();
        for public in ["1.1.1.1", "8.8.8.8", "100.128.0.1", "172.32.0.1", "192.167.1.1", "2606:4700:4700::1111", "2a00:1450::1"] {
            assert!(addresses.allow(ip(public)), "{public}");
        }
        for inside in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "168.63.129.16",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:a9fe:a9fe",
            "64:ff9b::7f00:1",
            "64:ff9b:1::a00:1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fdff::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!addresses.allow(ip(inside)), "{inside}");
        }
    }

    #[test]
    fn named_networks_are_posted_to_but_never_what_hands_out_credentials() {
        let all = ["0.0.0.0/0", "::/0"].map(|net| net.parse().unwrap()).to_vec();
        let addresses = Addresses { networks: all, plain_http: false };
        for inside in ["10.1.2.3", "127.0.0.1", "::1", "fd12::1", "192.168.0.1"] {
            assert!(addresses.allow(ip(inside)), "{inside}");
        }
        for never in
            ["169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "::ffff:10.0.0.1", "fe80::1", "0.0.0.0"]
        {
            assert!(!addresses.allow(ip(never)), "{never}");
        }
        let one = Addresses { networks: vec!["10.20.0.0/16".parse().unwrap()], plain_http: false };
        assert!(one.allow(ip("10.20.1.1")) && !one.allow(ip("10.21.1.1")));
    }

    #[test]
    fn urls_are_whole_and_keep_no_secrets() {
        let addresses = Addresses::default();
        for sound in ["https://hooks.bank.example/kehu?x=1", "https://1.1.1.1:8443/", "https://[2606:4700::1]/x"] {
            assert_eq!(addresses.fault(sound), None, "{sound}");
        }
        for wrong in [
            "",
            "hooks",
            "/path",
            "http://hooks.bank.example/",
            "ftp://hooks.bank.example/",
            "file:///etc/passwd",
            "https://user:word@hooks.bank.example/",
            "https://a@127.0.0.1/",
            "https://hooks.bank.example/#x",
            "https://",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://169.254.169.254/latest",
            "gopher://x/",
        ] {
            assert!(addresses.fault(wrong).is_some(), "{wrong}");
        }
        let plain = Addresses { plain_http: true, ..addresses };
        assert_eq!(plain.fault("http://hooks.bank.example/"), None);
    }
}
