// Sipward policy `night-guard`: no foreign calls while nobody watches.
//
// See the README for the threat, the settings and the build.

import { nowMs } from 'sipward:policy/clock@0.1.0';
import { add } from 'sipward:policy/counters@0.1.0';
import { write } from 'sipward:policy/log@0.1.0';
import { parse } from 'sipward:policy/numbers@0.1.0';

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const HOUR_MS = 3_600_000n;
/// Dialled texts up to this length are extensions, whatever they say.
const LOCAL_DIGITS = 6;

const SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['region', 'open', 'close'],
  properties: {
    region: { type: 'string', description: 'Country that numbers are dialled in, as DE.' },
    open: { type: 'integer', minimum: 0, maximum: 23, description: 'First hour of the office.' },
    close: { type: 'integer', minimum: 1, maximum: 24, description: 'First hour after it.' },
    days: { type: 'array', items: { enum: DAYS }, description: 'Days with office hours.' },
    utc_offset_minutes: { type: 'integer', minimum: -720, maximum: 840, description: 'Local time less UTC.' },
    per_hour: { type: 'integer', minimum: 0, maximum: 1000, description: 'Foreign calls that a caller may make in an hour of the night.' },
    status: { enum: [403, 480, 603], description: 'Answer to the others.' },
  },
};

const DEFAULTS = {
  days: ['mon', 'tue', 'wed', 'thu', 'fri'],
  utc_offset_minutes: 0,
  per_hour: 0,
  status: 403,
};

let settings;

// --- Settings -----------------------------------------------------------------

class Wrong extends Error {
  constructor(key, message) {
    super(message);
    this.key = key;
  }
}

function whole(given, key) {
  const { minimum, maximum } = SCHEMA.properties[key];
  if (!Number.isInteger(given[key]) || given[key] < minimum || given[key] > maximum) {
    throw new Wrong(key, `has to be a whole number from ${minimum} to ${maximum}`);
  }
}

function read(text) {
  const given = JSON.parse(text);
  for (const key of Object.keys(given)) {
    if (!(key in SCHEMA.properties)) {
      throw new Wrong(key, `is no setting; there are ${Object.keys(SCHEMA.properties).join(', ')}`);
    }
  }
  for (const key of SCHEMA.required) {
    if (!(key in given)) {
      throw new Wrong(key, 'must be written');
    }
  }
  const all = { ...DEFAULTS, ...given };
  for (const key of ['open', 'close', 'utc_offset_minutes', 'per_hour']) {
    whole(all, key);
  }
  if (all.open >= all.close) {
    throw new Wrong('close', 'has to be after `open`');
  }
  if (!Array.isArray(all.days)) {
    throw new Wrong('days', 'has to be a list');
  }
  all.days.forEach((day, index) => {
    if (!DAYS.includes(day)) {
      throw new Wrong(`days[${index}]`, `is none of ${DAYS.join(', ')}`);
    }
  });
  if (![403, 480, 603].includes(all.status)) {
    throw new Wrong('status', 'has to be 403, 480 or 603');
  }
  if (typeof all.region !== 'string' || number('0123456789', all.region) === 'no-such-region') {
    throw new Wrong('region', 'is no country; write two letters, as DE');
  }
  return all;
}

// --- The request --------------------------------------------------------------

const decoder = new TextDecoder();

/// The bytes of a span: offset in the upper half, length in the lower.
function bytes(facts, span) {
  const start = Number(span >> 32n);
  return facts.text.subarray(start, start + Number(span & 0xffff_ffffn));
}

function text(facts, span) {
  return decoder.decode(bytes(facts, span));
}

/// What was dialled, without escapes.
function dialled(facts) {
  const { user } = facts.requestUri;
  const written = user === undefined ? '' : text(facts, user);
  return written.replace(/%([0-9a-fA-F]{2})/g, (_, code) => String.fromCharCode(parseInt(code, 16)));
}

/// A number as the host understands it, or the name of what is wrong with it.
function number(digits, region) {
  try {
    return parse(digits, region);
  } catch (error) {
    return error.payload;
  }
}

/// What has the length of a number counts as foreign unless it is surely not, and so
/// does one with parameters, which may lead elsewhere.
function isForeign(digits) {
  if (digits.includes(';')) {
    return true;
  }
  if (digits.length <= LOCAL_DIGITS) {
    return false;
  }
  const known = number(digits, settings.region);
  if (typeof known === 'string') {
    return known !== 'not-a-number';
  }
  return known.region !== settings.region;
}

/// Local time, and whether the office is open.
function local() {
  const moment = new Date(Number(nowMs()) + settings.utc_offset_minutes * 60_000);
  const hour = moment.getUTCHours();
  const open = settings.days.includes(DAYS[moment.getUTCDay()]) && hour >= settings.open && hour < settings.close;
  const shown = `${DAYS[moment.getUTCDay()]} ${moment.toISOString().slice(11, 16)}`;
  return { open, shown };
}

function who(facts) {
  const known = facts.identity ?? facts.peer.name;
  if (known !== undefined) {
    return text(facts, known);
  }
  const { tag, val } = facts.peer.address;
  return tag === 'ipv4' ? val.join('.') : val.map((group) => group.toString(16)).join(':');
}

/// Whether the caller has a call of this hour left. A full table means no.
function hasOneLeft(caller) {
  if (settings.per_hour === 0) {
    return false;
  }
  try {
    const made = add('night', new TextEncoder().encode(caller), 1, HOUR_MS, 'volatile');
    return made <= BigInt(settings.per_hour);
  } catch (error) {
    write('warn', `foreign calls cannot be counted: ${error.payload}`);
    return false;
  }
}

function next(reason, effects = []) {
  return { verdict: { tag: 'next' }, effects, reason };
}

function decide(facts) {
  if (facts.dialog !== 'none') {
    return next('belongs to a call');
  }
  if (facts.peer.zone === 'outside') {
    return next('comes from outside');
  }
  const { open, shown } = local();
  if (open) {
    return next('within office hours');
  }
  const callee = dialled(facts);
  if (!isForeign(callee)) {
    return next('no foreign number');
  }
  const caller = who(facts);
  if (hasOneLeft(caller)) {
    return next(`${caller} may still call ${callee} at ${shown}`, [
      { tag: 'annotate', val: { key: 'night-guard', value: 'counted' } },
    ]);
  }
  const reason = `${caller} may not call ${callee} at ${shown}`;
  return {
    verdict: { tag: 'reject', val: { status: settings.status, phrase: '', retryAfter: 0 } },
    effects: [{ tag: 'alert', val: { severity: 'warning', key: `night/${caller}`, text: reason } }],
    reason,
  };
}

// --- What the host calls ------------------------------------------------------

export const lifecycle = {
  describe() {
    return {
      name: 'night-guard',
      version: '1.0.0',
      description: 'Refuses foreign calls outside office hours',
      methods: ['INVITE'],
      capabilities: ['counters'],
      settingsSchema: JSON.stringify(SCHEMA),
    };
  },

  configure(json) {
    try {
      settings = read(json);
    } catch (error) {
      if (error instanceof Wrong) {
        throw { key: error.key, message: error.message };
      }
      throw error;
    }
  },
};

export const requestPolicy = {
  onRequest(facts) {
    try {
      return decide(facts);
    } catch (error) {
      // The host sees a trap without a word, so it is said before.
      write('error', `${error}\n${error.stack}`);
      throw error;
    }
  },
};
