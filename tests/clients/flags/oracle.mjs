// Evaluates flags with npm's @openfeature/flagd-core, for the comparison with ours: one case a line in, one result a line out.
//
// A case can name rules of ours where flagd-core does something else. Each is a change to flagd-core or its engine, so that a
// difference is explained by a rule only where the two agree once that rule, and nothing else, is changed.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(import.meta.url);
const { FlagdCore } = require('@openfeature/flagd-core');
const { LogicEngine, defaultMethods } = require('json-logic-engine');
const MurmurHash3 = require('imurmurhash');

const on = new Set();
const sync = (call) => Object.assign(call, { [Symbol.for('json_logic_sync')]: true });
const absent = '(no value)';

// What a context has by itself: neither lengths and characters of texts, nor what JavaScript gives every object.
const own = (from, name) =>
  from !== null && typeof from === 'object' && name !== 'length' && Object.hasOwn(from, name) ? from[name] : undefined;
const walk = (from, path) => path.split('.').reduce(own, from);

const find = sync((context, path) => walk(context, path) ?? null);
const { compile: compileVar, method: callVar } = defaultMethods.var;
const isPlain = (path) => typeof path === 'number' || (typeof path === 'string' && path !== '' && !path.includes('\\'));
defaultMethods.var.compile = (data, state) => {
  const [path, otherwise] = Array.isArray(data) ? data : [data];
  if (!on.has('var-own') || !isPlain(path)) return compileVar(data, state);
  const found = state.compile`(${find}(context, ${String(path)}) ?? ${otherwise ?? null})`;
  // As the original: comparisons read `prev`.
  return state.compile`(typeof (prev = ${found}) === 'function' ? null : prev)`;
};
defaultMethods.var.method = (data, context, above, engine) => {
  const [path, otherwise] = Array.isArray(data) ? data : [data];
  const found =
    on.has('var-own') && isPlain(path) ? walk(context, String(path)) : callVar([path, absent], context, above, engine);
  const nothing = found === undefined || found === absent || (found === null && on.has('var-null'));
  return nothing ? (otherwise ?? null) : found;
};

for (const name of ['and', 'or', 'all', 'missing', 'missing_some']) {
  const { compile } = defaultMethods[name];
  defaultMethods[name].compile = (data, state) => {
    const code = compile(data, state);
    return on.has('brackets') && code ? state.compile`(${typeof code === 'string' ? { [Symbol.for('json_logic_compiled')]: code } : code})` : code;
  };
}

const { compile: compileIf } = defaultMethods.if;
defaultMethods.if.compile = (data, state) =>
  compileIf(on.has('if-two') && Array.isArray(data) && data.length === 2 ? [...data, null] : data, state);

const { compile: compileCat } = defaultMethods.cat;
defaultMethods.cat.compile = (data, state) => {
  if (!on.has('cat-null') || !Array.isArray(data)) return compileCat(data, state);
  return state.compile`(${data.reduce((text, item) => state.compile`${text} + (${item} ?? '')`, state.compile`''`)})`;
};

const { compile: compileAll } = defaultMethods.all;
defaultMethods.all.compile = (data, state) =>
  compileAll(on.has('all-null') ? [state.compile`(${data[0]} || [])`, data[1]] : data, state);

const operators = {
  '==': (a, b) => a == b,
  '!=': (a, b) => a != b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
};
const isText = (value) => typeof value === 'string' || value === null;
const number = (value) => {
  if ((typeof value === 'object' && value !== null) || Number.isNaN(+value)) throw NaN;
  return +value;
};
for (const [name, compare] of Object.entries(operators)) {
  const { compile } = defaultMethods[name];
  const both = (a, b) => (isText(a) && isText(b) ? compare(a, b) : compare(number(a), number(b)));
  const call = sync((a, b, last) => {
    if (!last) return both(a, b);
    return both(a, b) && both(b, last());
  });
  defaultMethods[name].compile = (data, state) => {
    if (!on.has('compare') || !Array.isArray(data) || data.length < 2) return compile(data, state);
    if (data.length === 2) return state.compile`${call}(${data[0]}, ${data[1]})`;
    return state.compile`${call}(${data[0]}, ${data[1]}, () => ${data[2]})`;
  };
}

for (const name of ['+', '-', '*', '/', '%']) {
  const { compile } = defaultMethods[name];
  defaultMethods[name].compile = (data, state) => {
    try {
      return compile(data, state);
    } catch (error) {
      if (!on.has('constants')) throw error;
      return state.compile`${sync(() => { throw error; })}()`;
    }
  };
}

const { substr } = defaultMethods;
defaultMethods.substr = Object.assign((data) => {
  const text = substr(data);
  return on.has('half-character') ? text.toWellFormed() : text;
}, { ...substr, [Symbol.for('json_logic_sync')]: true });

const { hash } = MurmurHash3.prototype;
MurmurHash3.prototype.hash = function (text) {
  return hash.call(this, on.has('utf-8') ? Buffer.from(text, 'utf8').toString('latin1') : text);
};

// Set on every engine by its constructor.
Object.defineProperty(LogicEngine.prototype, 'disableInline', { get: () => on.has('constants'), set: () => {} });

let root;
const { addMethod, build } = LogicEngine.prototype;
LogicEngine.prototype.addMethod = function (name, method) {
  const changed = (data, context) => {
    const seedless = on.has('seed-null') && name === 'fractional' && data[0] === null;
    return method(seedless ? data.slice(1) : data, on.has('flagd-in-lists') ? root : context);
  };
  return addMethod.call(this, name, changed);
};
LogicEngine.prototype.build = function (logic) {
  const rule = build.call(this, logic);
  return (context) => {
    root = context;
    return rule(context);
  };
};

const quiet = { error() {}, warn() {}, info() {}, debug() {} };
const types = { boolean: 'Boolean', string: 'String', number: 'Number', object: 'Object' };

function evaluate({ key, type, document, context, now, rules }) {
  on.clear();
  rules.forEach((rule) => on.add(rule));
  Date.now = () => now * 1000;
  const core = new FlagdCore(undefined, quiet);
  core.setConfigurations(JSON.stringify(document));
  const result = core[`resolve${types[type]}Evaluation`](key, absent, context);
  let { reason, errorCode: code } = result;
  if (on.has('null-targeting') && document.flags[key].targeting === null && reason === 'STATIC') reason = 'DEFAULT';
  if (on.has('rule-error') && result.errorMessage?.startsWith('Error evaluating targeting rule')) code = 'PARSE_ERROR';
  const value = result.value === absent ? undefined : result.value;
  return code ? { code, metadata: result.flagMetadata } : { reason, variant: result.variant, value, metadata: result.flagMetadata };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(evaluate(JSON.parse(line)))}\n`);
}
