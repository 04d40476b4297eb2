// Breaks that are planted in a small document have to be found, and harmless changes must not be.
'use strict';
const assert = require('node:assert');
const { announced, breaking } = require('./breaking.js');

const reference = (name) => ({ $ref: `#/components/schemas/${name}` });
const json = (schema) => ({ 'application/json': { schema } });
const document = () => ({
  openapi: '3.1.0',
  info: { title: 'Small', version: '0.1.0' },
  paths: {
    '/things': {
      get: {
        operationId: 'list_things', 'x-required-scopes': ['thing.read'],
        parameters: [{ name: 'colour', in: 'query', schema: { type: 'string', maxLength: 10 } }],
        responses: { 200: { description: 'Things', content: json(reference('Thing')) } },
      },
      post: {
        operationId: 'create_thing', requestBody: { required: true, content: json(reference('NewThing')) },
        responses: { 201: { description: 'Thing', content: json(reference('Thing')) } },
      },
    },
  },
  components: {
    schemas: {
      Thing: {
        type: 'object', required: ['id', 'state'],
        properties: { id: { type: 'string' }, state: reference('State'), size: { type: 'integer' } },
      },
      NewThing: {
        type: 'object', required: ['name'],
        properties: { name: { type: 'string', minLength: 1, maxLength: 50 }, note: { type: 'string' }, kind: reference('Kind') },
      },
      State: { type: 'string', enum: ['open', 'closed'] },
      Kind: { type: 'string', enum: ['a', 'b'] },
    },
  },
});

const list = (changed) => changed.paths['/things'].get;
const made = (changed) => changed.components.schemas;
const BREAKS = {
  'an operation is removed': (d) => delete d.paths['/things'].post,
  'an operation is renamed': (d) => { list(d).operationId = 'get_things'; },
  'a right is needed as well': (d) => list(d)['x-required-scopes'].push('thing.manage'),
  'a parameter is removed': (d) => list(d).parameters.pop(),
  'a parameter is required': (d) => { list(d).parameters[0].required = true; },
  'a parameter is narrower': (d) => { list(d).parameters[0].schema.maxLength = 5; },
  'a new parameter is required': (d) => list(d).parameters.push({ name: 'x', in: 'query', required: true, schema: { type: 'string' } }),
  'a field of a request is removed': (d) => delete made(d).NewThing.properties.note,
  'a field of a request is required': (d) => made(d).NewThing.required.push('note'),
  'a field of a request is shorter': (d) => { made(d).NewThing.properties.name.maxLength = 20; },
  'a field of a request has a pattern': (d) => { made(d).NewThing.properties.note.pattern = '^x$'; },
  'a field of a request has another type': (d) => { made(d).NewThing.properties.note = { type: 'integer' }; },
  'a value of a request is removed': (d) => made(d).Kind.enum.pop(),
  'a field of an answer is removed': (d) => delete made(d).Thing.properties.size,
  'a field of an answer has another type': (d) => { made(d).Thing.properties.size = { type: 'string' }; },
  'a success is removed': (d) => { list(d).responses = { 204: { description: 'Nothing' } }; },
  'a path is removed': (d) => { d.paths = {}; },
};
const HARMLESS = {
  'words are changed': (d) => { d.info.title = 'Other'; list(d).description = 'x'; },
  'an operation is added': (d) => { d.paths['/others'] = { get: { operationId: 'list_others', responses: list(d).responses } }; },
  'a parameter is added': (d) => list(d).parameters.push({ name: 'x', in: 'query', schema: { type: 'string' } }),
  'a field of a request is added': (d) => { made(d).NewThing.properties.more = { type: 'string' }; },
  'a field of a request is longer': (d) => { made(d).NewThing.properties.name.maxLength = 60; },
  'a field of an answer is added': (d) => { made(d).Thing.properties.more = { type: 'string' }; },
  'a value of a request is added': (d) => made(d).Kind.enum.push('c'),
  'a security scheme is added': (d) => { (d.components.securitySchemes ??= {}).other = { type: 'apiKey', name: 'x', in: 'header' }; },
  'a value of an answer is added': (d) => made(d).State.enum.push('torn'),
};

const outcome = (change) => {
  const changed = document();
  change(changed);
  return breaking(document(), changed);
};
for (const [what, change] of Object.entries(BREAKS)) assert.notDeepStrictEqual(outcome(change), [], `not found: ${what}`);
for (const [what, change] of Object.entries(HARMLESS)) assert.deepStrictEqual(outcome(change), [], `a false alarm: ${what}`);
for (const [before, after, says] of [
  ['0.1.0', '0.1.0', false], ['0.1.0', '0.1.9', false], ['0.1.0', '0.2.0', true], ['0.2.0', '0.1.0', false], ['0.9.0', '1.0.0', true],
  ['1.2.3', '1.3.0', false], ['1.2.3', '2.0.0', true], ['2.0.0', '1.9.0', false],
]) assert.strictEqual(announced(before, after), says, `${before} -> ${after}`);
console.log(`${Object.keys(BREAKS).length} breaks found, ${Object.keys(HARMLESS).length} harmless changes passed`);
