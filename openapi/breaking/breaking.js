// What a new document breaks of an old one. Most is found by api-smart-diff; what it does not look at is looked at here:
// names of operations, of which generators make methods; fields of requests and answers that are gone; rights that an
// operation did not need; limits of requests that became narrower.
'use strict';
const { apiCompare } = require('api-smart-diff');

const METHODS = ['get', 'put', 'post', 'delete', 'patch', 'head', 'options'];
const LOWER = ['maximum', 'maxLength', 'maxItems'];
const HIGHER = ['minimum', 'minLength', 'minItems'];

const schemas = (document) => document.components?.schemas ?? {};
const operations = (document) =>
  Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => [`${method.toUpperCase()} ${path}`, item[method]]));

/** Names of the schemas that a part of each operation is made of: its requests, or its answers. */
function used(document, part) {
  const seen = new Set();
  const visit = (value) => {
    for (const [, name] of JSON.stringify(value ?? {}).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (!seen.has(name)) {
        seen.add(name);
        visit(schemas(document)[name]);
      }
    }
  };
  operations(document).forEach(([, operation]) => visit(operation[part]));
  if (part === 'responses') visit(document.components?.responses);
  return seen;
}

/** Limits of a schema that leave less room than before. */
function narrower(before, after, at) {
  const found = [];
  const compare = (key, worse) => {
    if (after[key] !== undefined && (before[key] === undefined || worse(after[key], before[key]))) {
      found.push(`${at}: ${key} ${before[key] ?? 'none'} -> ${after[key]}`);
    }
  };
  LOWER.forEach((key) => compare(key, (now, then) => now < then));
  HIGHER.forEach((key) => compare(key, (now, then) => now > then));
  compare('pattern', (now, then) => now !== then);
  return found;
}

/** Clients tolerate new values of enums: the contract says so. */
const isNewValue = ({ action, path = [] }) => action === 'add' && path[path.length - 2] === 'enum';

/** What no operation asks for yet asks nothing of clients. */
const isNewScheme = ({ action, path = [] }) => action === 'add' && path[1] === 'securitySchemes' && path.length <= 3;

/** Everything that breaks, one line each. */
function breaking(before, after) {
  const found = apiCompare(before, after).diffs
    .filter((difference) => difference.type === 'breaking' && !isNewValue(difference) && !isNewScheme(difference))
    .map((difference) => `${difference.action} ${(difference.path ?? []).join('/')}: ${difference.description ?? ''}`);
  const now = new Map(operations(after));
  for (const [at, operation] of operations(before)) {
    const successor = now.get(at);
    if (!successor) {
      found.push(`${at}: the operation is gone`);
      continue;
    }
    if (operation.operationId !== successor.operationId) {
      found.push(`${at}: operationId ${operation.operationId} -> ${successor.operationId}`);
    }
    const rights = operation['x-required-scopes'] ?? [];
    (successor['x-required-scopes'] ?? []).filter((right) => !rights.includes(right))
      .forEach((right) => found.push(`${at}: needs ${right} as well`));
    const parameters = new Map((successor.parameters ?? []).map((parameter) => [`${parameter.in} ${parameter.name}`, parameter]));
    for (const parameter of operation.parameters ?? []) {
      const same = parameters.get(`${parameter.in} ${parameter.name}`);
      if (parameter.name && !same) found.push(`${at}: the parameter ${parameter.name} is gone`);
      if (parameter.name && same) found.push(...narrower(parameter.schema ?? {}, same.schema ?? {}, `${at} ${parameter.name}`));
    }
  }
  for (const name of used(before, 'responses')) {
    const fields = schemas(after)[name]?.properties;
    for (const field of Object.keys(schemas(before)[name]?.properties ?? {})) {
      if (fields && !fields[field]) found.push(`${name}.${field}: the field is not answered any more`);
    }
  }
  for (const name of used(before, 'requestBody')) {
    const fields = schemas(after)[name]?.properties;
    for (const [field, schema] of Object.entries(schemas(before)[name]?.properties ?? {})) {
      if (fields && !fields[field]) found.push(`${name}.${field}: the field is not taken any more`);
      if (fields?.[field]) found.push(...narrower(schema, fields[field], `${name}.${field}`));
    }
  }
  return [...new Set(found)];
}

/** Whether the step from one version to another says that something breaks (Semantic Versioning 2.0.0). */
function announced(before, after) {
  const [then, now] = [before, after].map((version) => version.split(/[.+-]/, 3).map(Number));
  const place = then[0] === 0 ? 1 : 0;
  return now[0] > then[0] || (now[0] === then[0] && now[place] > then[place]);
}

module.exports = { announced, breaking };
