//! Makes databases in the MaxMind DB format 2.0, to be looked up in.

use std::net::IpAddr;

/// A value of the data section.
#[derive(Clone)]
pub(crate) enum Value {
    Text(&'static str),
    Short(u16),
    Number(u32),
    Long(u64),
    List(Vec<Self>),
    Double(f64),
    Float(f32),
    Map(Vec<(&'static str, Self)>),
}

/// Networks, as `192.0.2.0/24` or `2001:db8::/32`, and what is known of them.
pub(crate) type Entries = Vec<(&'static str, Value)>;

/// The countries that most tests look up: as GeoLite2 writes them.
pub(crate) fn countries(entries: &[(&'static str, &'static str)]) -> Vec<u8> {
    let country = |code| {
        let names = Value::Map(vec![("en", Value::Text("Somewhere"))]);
        let country = vec![("names", names), ("iso_code", Value::Text(code))];
        Value::Map(vec![("country", Value::Map(country))])
    };
    let entries = entries
        .iter()
        .map(|&(network, code)| (network, country(code)));
    database("Test-Country", 28, entries.collect())
}

/// A database with records of 24, 28 or 32 bits, built at 1,700,000,000.
pub(crate) fn database(kind: &'static str, record_bits: u16, entries: Entries) -> Vec<u8> {
    let mut tree = vec![[Record::Empty; 2]];
    let mut data = Vec::new();
    for (network, value) in entries {
        let offset = data.len();
        encode(&value, &mut data);
        insert(&mut tree, network, offset);
    }
    let nodes = tree.len();
    let mut bytes = Vec::new();
    for node in &tree {
        let [left, right] = node.map(|record| match record {
            Record::Empty => nodes,
            Record::Node(number) => number,
            Record::Data(offset) => nodes + 16 + offset,
        });
        node_bytes(record_bits, left as u32, right as u32, &mut bytes);
    }
    bytes.extend([0; 16]);
    bytes.extend(data);
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    encode(
        &Value::Map(vec![
            ("node_count", Value::Number(nodes as u32)),
            ("record_size", Value::Short(record_bits)),
            ("ip_version", Value::Short(6)),
            ("database_type", Value::Text(kind)),
            ("languages", Value::List(vec![Value::Text("en")])),
            ("binary_format_major_version", Value::Short(2)),
            ("binary_format_minor_version", Value::Short(0)),
            ("build_epoch", Value::Long(1_700_000_000)),
            (
                "description",
                Value::Map(vec![("en", Value::Text("made by a test"))]),
            ),
        ]),
        &mut bytes,
    );
    bytes
}

#[derive(Clone, Copy)]
enum Record {
    Empty,
    Node(usize),
    Data(usize),
}

/// IPv4 networks lie in `::/96`.
fn insert(tree: &mut Vec<[Record; 2]>, network: &str, offset: usize) {
    let (address, length) = network.split_once('/').unwrap();
    let length: u32 = length.parse().unwrap();
    let (bits, length) = match address.parse().unwrap() {
        IpAddr::V4(address) => (u128::from(address.to_bits()), length + 96),
        IpAddr::V6(address) => (address.to_bits(), length),
    };
    let mut node = 0;
    for depth in 0..length {
        let side = (bits >> (127 - depth) & 1) as usize;
        if depth + 1 == length {
            tree[node][side] = Record::Data(offset);
            return;
        }
        node = match tree[node][side] {
            Record::Node(number) => number,
            Record::Empty => {
                tree.push([Record::Empty; 2]);
                let number = tree.len() - 1;
                tree[node][side] = Record::Node(number);
                number
            }
            Record::Data(_) => panic!("{network} lies in another network"),
        };
    }
}

fn node_bytes(record_bits: u16, left: u32, right: u32, bytes: &mut Vec<u8>) {
    let ([a, b, c, d], [e, f, g, h]) = (left.to_be_bytes(), right.to_be_bytes());
    match record_bits {
        24 => bytes.extend([b, c, d, f, g, h]),
        28 => bytes.extend([b, c, d, a << 4 | e, f, g, h]),
        32 => bytes.extend([a, b, c, d, e, f, g, h]),
        _ => panic!("records have 24, 28 or 32 bits"),
    }
}

fn encode(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            control(2, text.len(), bytes);
            bytes.extend(text.as_bytes());
        }
        Value::Double(number) => {
            control(3, 8, bytes);
            bytes.extend(number.to_be_bytes());
        }
        Value::Short(number) => {
            control(5, 2, bytes);
            bytes.extend(number.to_be_bytes());
        }
        Value::Number(number) => {
            control(6, 4, bytes);
            bytes.extend(number.to_be_bytes());
        }
        Value::Map(entries) => {
            control(7, entries.len(), bytes);
            for (key, value) in entries {
                encode(&Value::Text(key), bytes);
                encode(value, bytes);
            }
        }
        // Extended types: the first byte has the size, the second the type less seven.
        Value::Long(number) => {
            bytes.extend([8, 9 - 7]);
            bytes.extend(number.to_be_bytes());
        }
        Value::List(values) => {
            bytes.extend([values.len() as u8, 11 - 7]);
            for value in values {
                encode(value, bytes);
            }
        }
        Value::Float(number) => {
            bytes.extend([4, 15 - 7]);
            bytes.extend(number.to_be_bytes());
        }
    }
}

fn control(kind: u8, size: usize, bytes: &mut Vec<u8>) {
    match size {
        0..29 => bytes.push(kind << 5 | size as u8),
        29..285 => bytes.extend([kind << 5 | 29, (size - 29) as u8]),
        _ => {
            let [high, low] = ((size - 285) as u16).to_be_bytes();
            bytes.extend([kind << 5 | 30, high, low]);
        }
    }
}
