// Makes the sample of Vercel's AI SDK (ai 6, @ai-sdk/openai, @opentelemetry/sdk-trace-node, @opentelemetry/sdk-trace-base):
//   node make_vercel.mjs "$(python -c 'import json; from tests.records.conversation import agent_answers as a; print(json.dumps(a()))')" samples/vercel.json
import { generateText, tool, jsonSchema, stepCountIs } from 'ai';
import { createOpenAI } from '@ai-sdk/openai';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { SimpleSpanProcessor, InMemorySpanExporter } from '@opentelemetry/sdk-trace-base';
import http from 'http'; import fs from 'fs';
const answers = JSON.parse(process.argv[2]);
const server = http.createServer((q, r) => { let b=''; q.on('data', c => b+=c); q.on('end', () => { r.setHeader('content-type','application/json'); r.end(JSON.stringify(answers.shift())); }); });
await new Promise(r => server.listen(0, '127.0.0.1', r));
const ex = new InMemorySpanExporter();
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(ex)] }); provider.register();
const openai = createOpenAI({ baseURL: `http://127.0.0.1:${server.address().port}/v1`, apiKey: 'sk-not-a-real-key-0123456789' });
const tools = { read_mail: tool({ description: 'Reads a mail.', inputSchema: jsonSchema({type:'object',properties:{number:{type:'integer'}}}), execute: async () => 'From: bob@example.org' }), send_email: tool({ description: 'Sends a mail.', inputSchema: jsonSchema({type:'object',properties:{to:{type:'string'},body:{type:'string'}}}), execute: async () => 'sent' }) };
await generateText({ model: openai.chat('gpt-4o-mini'), system: 'You are the assistant of Ann.', messages: [{role:'user',content:[{type:'text',text:'What does the newest mail want?'}]}], tools, stopWhen: stepCountIs(4), temperature: 0.2, experimental_telemetry: { isEnabled: true } });
server.close();
const rows = ex.getFinishedSpans().map(s => ({ name: s.name, context: { trace_id: s.spanContext().traceId, span_id: s.spanContext().spanId }, parent_id: s.parentSpanContext?.spanId ?? null, start_time: new Date(s.startTime[0]*1000 + s.startTime[1]/1e6).toISOString(), attributes: s.attributes, events: s.events }));
fs.writeFileSync(process.argv[3], `${JSON.stringify(rows, null, 1)}\n`);
