//! Character classes, spans and the small scanners shared by every header parser: RFC 3261
//! section 25.1.

/// A piece of a slice of at most 65,535 bytes: start and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    start: u16,
    len: u16,
}

impl Span {
    /// The span from `start` to `end`; empty when the bounds make no sense.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        match (
            u16::try_from(start),
            u16::try_from(end.saturating_sub(start)),
        ) {
            (Ok(start), Ok(len)) => Self { start, len },
            _ => Self::default(),
        }
    }

    /// The bytes of this span within `base`; empty when it does not fit.
    pub(crate) fn of(self, base: &[u8]) -> &[u8] {
        let start = usize::from(self.start);
        piece(base, start, start + usize::from(self.len))
    }

    pub(crate) fn len(self) -> usize {
        usize::from(self.len)
    }

    /// This span moved by `offset`.
    pub(crate) fn shifted(self, offset: usize) -> Self {
        Self::new(
            usize::from(self.start) + offset,
            usize::from(self.start) + usize::from(self.len) + offset,
        )
    }
}

/// `base[start..end]`, or nothing where that is out of bounds.
pub(crate) fn piece(base: &[u8], start: usize, end: usize) -> &[u8] {
    base.get(start..end).unwrap_or_default()
}

/// `token`.
pub(crate) const TOKEN: u8 = 1;
/// `unreserved`.
pub(crate) const UNRESERVED: u8 = 2;
/// Characters of `user` beside escapes. `#` is not in the grammar, but keypads send it.
pub(crate) const USER: u8 = 4;
/// Characters of uri parameters beside escapes.
pub(crate) const URI_PARAM: u8 = 8;
/// Characters of uri headers beside escapes, `&` and `=`.
pub(crate) const URI_HEADER: u8 = 16;
/// Characters of host names. `_` is not in the grammar, but in many zones.
pub(crate) const HOST: u8 = 32;
/// Characters of `word`, of which a Call-ID is made, and `@`.
pub(crate) const WORD: u8 = 64;
/// Characters of a generic parameter's value outside quotes: token, host and IPv6 brackets.
pub(crate) const PARAM_VALUE: u8 = 128;

static CLASS: [u8; 256] = classes();

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, indices are bytes"
)]
const fn mark(table: &mut [u8; 256], characters: &[u8], bits: u8) {
    let mut at = 0;
    while at < characters.len() {
        table[characters[at] as usize] |= bits;
        at += 1;
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, indices are below 256"
)]
const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut byte = 0;
    while byte < 256 {
        let character = byte as u8;
        if character.is_ascii_alphanumeric() {
            table[byte] = 255;
        } else if byte >= 0x80 {
            // UTF-8 in generic parameter values: RFC 4475 section 3.1.1.2 sends it quoted,
            // deployed peers also bare. It is no delimiter in any grammar.
            table[byte] = PARAM_VALUE;
        }
        byte += 1;
    }
    mark(&mut table, b"-.!%*_+`'~", TOKEN | WORD | PARAM_VALUE);
    mark(
        &mut table,
        b"-_.!~*'()",
        UNRESERVED | USER | URI_PARAM | URI_HEADER,
    );
    mark(&mut table, b"&=+$,;?/#", USER);
    mark(&mut table, b"[]/:&+$", URI_PARAM);
    mark(&mut table, b"[]/?:+$", URI_HEADER);
    mark(&mut table, b"-._", HOST);
    // `word` and `@`; the rest stands in Call-IDs made by base64 and the like, delimits nothing
    // there, and is compared byte by byte.
    mark(&mut table, b"()<>:\\\"/[]?{}@=&$|^#", WORD);
    mark(&mut table, b"[]:/@()$&|^{}#=?", PARAM_VALUE);
    table
}

/// True when `byte` is in `class`.
pub(crate) fn is(byte: u8, class: u8) -> bool {
    CLASS
        .get(usize::from(byte))
        .is_some_and(|bits| bits & class != 0)
}

/// True when `text` is not empty and all of it is in `class`.
pub(crate) fn all(text: &[u8], class: u8) -> bool {
    !text.is_empty() && text.iter().all(|byte| is(*byte, class))
}

/// True when all of `text` is in `class` or a well-formed `%` escape. May be empty.
pub(crate) fn all_or_escaped(text: &[u8], class: u8) -> bool {
    let mut rest = text;
    loop {
        match rest {
            [] => return true,
            [b'%', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                rest = after
            }
            [b'%', ..] => return false,
            [byte, after @ ..] if is(*byte, class) => rest = after,
            _ => return false,
        }
    }
}

/// True for space and tab: after unfolding, all of LWS.
pub(crate) const fn is_space(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// `text` without white space at both ends.
pub(crate) fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text {
        if !is_space(*first) {
            break;
        }
        text = rest;
    }
    while let [rest @ .., last] = text {
        if !is_space(*last) {
            break;
        }
        text = rest;
    }
    text
}

/// Moves `at` over white space.
pub(crate) fn skip_space(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(|byte| is_space(*byte)) {
        at += 1;
    }
    at
}

/// Moves `at` back over white space, not below `floor`.
pub(crate) fn skip_space_back(text: &[u8], floor: usize, mut at: usize) -> usize {
    while at > floor
        && at
            .checked_sub(1)
            .and_then(|before| text.get(before))
            .is_some_and(|byte| is_space(*byte))
    {
        at -= 1;
    }
    at
}

/// Moves `at` over bytes of `class`.
pub(crate) fn skip_class(text: &[u8], mut at: usize, class: u8) -> usize {
    while text.get(at).is_some_and(|byte| is(*byte, class)) {
        at += 1;
    }
    at
}

/// With `at` on an opening quote, the place after the closing one; `None` when it is missing.
pub(crate) fn skip_quoted(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// A decimal number without sign, at most `maximum`.
pub(crate) fn decimal(text: &[u8], maximum: u64) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut number = 0u64;
    for byte in text {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number
            .checked_mul(10)?
            .checked_add(u64::from(byte - b'0'))?;
        if number > maximum {
            return None;
        }
    }
    Some(number)
}

/// The first comma of `text` at or after `at` that stands outside quotes and angle brackets.
pub(crate) fn next_comma(text: &[u8], mut at: usize) -> Option<usize> {
    let mut bracketed = false;
    loop {
        match text.get(at)? {
            b'"' if !bracketed => at = skip_quoted(text, at)?,
            b'<' => {
                bracketed = true;
                at += 1;
            }
            b'>' => {
                bracketed = false;
                at += 1;
            }
            b',' if !bracketed => return Some(at),
            _ => at += 1,
        }
    }
}

/// The comma-joined values of a header, trimmed. Commas in quotes and in `<>` do not count.
#[derive(Debug, Clone)]
pub(crate) struct CommaSplit<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> CommaSplit<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { rest: Some(text) }
    }
}

impl<'a> Iterator for CommaSplit<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.rest.take()?;
        // Most values hold no comma; looking for one is cheaper than reading quotes.
        if memchr::memchr(b',', text).is_none() {
            return Some(trim(text));
        }
        match next_comma(text, 0) {
            Some(comma) => {
                self.rest = text.get(comma + 1..);
                text.get(..comma).map(trim)
            }
            None => Some(trim(text)),
        }
    }
}

/// One generic parameter found by [`next_param`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Param {
    /// Its name.
    pub(crate) name: Span,
    /// Its value, quotes included, if it has one.
    pub(crate) value: Option<Span>,
    /// Where reading goes on: at the next `;`, or at the end.
    pub(crate) next: usize,
}

/// Reads one `;name[=value]` of a header (RFC 3261 `generic-param`) with `at` on the semicolon.
/// White space may stand around `;` and `=`.
pub(crate) fn next_param(text: &[u8], at: usize) -> Option<Param> {
    let start = skip_space(text, at + 1);
    let end = skip_class(text, start, TOKEN);
    if start == end {
        return None;
    }
    let name = Span::new(start, end);
    let after = skip_space(text, end);
    if text.get(after) != Some(&b'=') {
        return at_delimiter(text, after).then_some(Param {
            name,
            value: None,
            next: after,
        });
    }
    let value_start = skip_space(text, after + 1);
    let value_end = match text.get(value_start) {
        Some(b'"') => skip_quoted(text, value_start)?,
        _ => skip_class(text, value_start, PARAM_VALUE),
    };
    let next = skip_space(text, value_end);
    (value_end > value_start && at_delimiter(text, next)).then_some(Param {
        name,
        value: Some(Span::new(value_start, value_end)),
        next,
    })
}

fn at_delimiter(text: &[u8], at: usize) -> bool {
    matches!(text.get(at), None | Some(b';'))
}

/// Finds `name` among the parameters in `params` (from the first semicolon on). The inner
/// option is the value: `;lr` has none. Quotes are kept.
pub(crate) fn find_param<'a>(params: &'a [u8], name: &[u8]) -> Option<Option<&'a [u8]>> {
    let mut at = 0;
    while at < params.len() {
        let param = next_param(params, at)?;
        if param.name.of(params).eq_ignore_ascii_case(name) {
            return Some(param.value.map(|value| value.of(params)));
        }
        at = param.next;
    }
    None
}
