/** Models, payment, Datanets, training, agents: what people and programs that use them get wrong, or must wait for. */
import type { ErrorPages } from './types.ts'

const FORM = 'The message names the field and what it may be.'
const FRESH = 'Fetch it again; if it stays so, whoever published it published something broken.'

export const MODEL_ERRORS: ErrorPages = {
  body: ['The body of the request is not what this door takes.', FORM],
  'body-too-large': [
    'The body is longer than this door takes.',
    'Send less at once; the message has the limit.',
  ],
  'http-method': ['That path takes another method.', 'Use the method in the message.'],
  'invalid-value': ['A field of the request has a value it may not have.', FORM],
  'inference-request': ['A request for an answer is not in order.', FORM],
  'context-length': [
    'Prompt and max_tokens together are longer than the model’s context.',
    'Shorten the prompt or lower max_tokens.',
  ],
  'model-unknown': [
    'No model of that name or id is registered.',
    'GET /v1/models lists those there are.',
  ],
  'base-model': [
    'The base model cannot be used.',
    'Give --base-model a folder with model, tokenizer and configuration.',
  ],
  'model-base': [
    'The model was trained on another base, or by another arithmetic.',
    'Serve it with the base and version that the message names.',
  ],
  'model-artefact': ['A model’s files are not those that the chain has the hash of.', FRESH],
  vectors: ['The vectors of a model’s rows are not those that its job committed to.', FRESH],
  'opening-unavailable': [
    'The provider of a receipt does not show how it computed the answer.',
    'Try again; that the receipt is wrong is known without it, only not in which operator.',
  ],
  'opening-busy': ['As many questions about computations wait as may.', 'Ask again soon.'],
  'opening-too-large': [
    'An answer has more tokens, or an operator of it more tiles, than are shown.',
    'The message has the number; a shorter answer can be shown.',
  ],
  'no-retrieval': [
    'The model was made without vectors of its rows, so none can be retrieved.',
    'Leave `retrieval` out, or ask a model that has them.',
  ],
  'retrieval-licence': [
    'The licence of a Datanet of the model does not let its rows be shown in a prompt.',
    'Leave `retrieval` out; its owner may give a version whose licence allows it.',
  ],
  'no-worker': [
    'No inference worker took the request in time.',
    'Start `openledger worker` beside the node’s NATS server, or ask again when there is less to do.',
  ],
  'inference-answer': ['A worker’s answer is cut short or is none.', FRESH],
  'inference-attempts': [
    'Workers died on this request, one after the other, and it is given up.',
    'See the log of the workers (memory, most of all); ask for less at once.',
  ],
  'adapter-known': [
    'An adapter of that name is loaded.',
    'Unload it first, or choose another name.',
  ],
  'adapters-full': ['As many adapters are loaded as fit.', 'Unload some.'],
  'policy-missing': [
    'The model promises contributors more than any policy gives.',
    'Register a policy that gives so much, or lower the promise.',
  ],
  'payment-required': [
    'The answer must be paid for, and nothing paid for it.',
    "The field `payment` of the error says what is owed, to whom and what to sign: `payingFetch` and x402 clients do it by themselves. On the node's own machine there is a free quota.",
  ],
  'payment-pending': [
    'The payment was sent and is not seen on chain yet, or pays for a request under way.',
    'Ask the same again with the same payment: it is taken once, and the answer comes when it is there.',
  ],
  payment: [
    'What came as payment does not pay.',
    'The message says why; the field `payment` what would.',
  ],
  'till-empty': [
    'The provider’s own account has too little OPEN.',
    'Its operator must fund it; ask another provider meanwhile.',
  ],
  'x402-not-included': [
    'The payment is not on the chain yet.',
    'Ask again: the same payment is not taken twice.',
  ],
  'x402-reverted': [
    'The chain refused the payment.',
    'See balance, validity and nonce of the authorization, and sign another.',
  ],
  'not-local': [
    'This door spends the node’s own money and is for its own machine.',
    'Pay for the request; or let the operator admit your account (--session-accounts) and sign in with it.',
  ],
  'sign-in': [
    'Signing in with the wallet (EIP-4361) is refused.',
    'The message says what did not fit: domain, chain, nonce, time or signature. Ask /session/nonce for another nonce and sign anew.',
  ],
  'queue-full': [
    'As many requests wait as may.',
    'Try again in a moment; `retry-after` says when.',
  ],
  'deadline-passed': [
    'The answer was not ready in time.',
    'Ask for fewer tokens, or again when there is less to do.',
  ],
  cancelled: ['The request ended before its first token.', 'Ask again.'],
  'shutting-down': ['The node is stopping.', 'Ask another, or again in a moment.'],
  'provider-gone': [
    'The provider went away in the middle of an answer.',
    'Ask again: nothing is paid without a receipt.',
  ],
  'no-provider': [
    'Nobody who answers serves that.',
    'Ask a node with a provider key, or try again later.',
  ],
  'not-provider': ['This node serves no models.', 'Ask one with a provider key.'],
  'receipt-unknown': [
    'No such receipt is settled here.',
    'A receipt is settled some seconds after its answer; ask again.',
  ],
  'claim-unknown': [
    'The receipt has no such claim.',
    'openledger_getAttribution lists its claims.',
  ],
  'payout-unknown': [
    'No receipt of that epoch pays that account.',
    'openledger_pendingRewards lists epochs with something to claim.',
  ],
  'payout-old': [
    'The blocks of the epoch are too far apart for one proof.',
    'Ask for the proof of each receipt.',
  ],
  'block-unknown': [
    'L1 or this node has let go of that block.',
    'Ask again; an archive keeps all of them.',
  ],
  leaves: ['That is no file of row hashes.', FRESH],
  corpus: ['The corpus of a model cannot be used.', FRESH],
  'canonical-json': [
    'A value has no canonical spelling.',
    'Use texts, finite numbers, booleans, null, lists and plain objects.',
  ],
  licence: ['That is no licence term.', 'The message lists those there are.'],
  'datanet-schema': [
    'A Datanet’s schema cannot be read.',
    'It is JSON such as {"text":"string","media":"image?","meta":{"year":"number?"}}.',
  ],
  'datanet-media': [
    'A row’s picture or sound is not there, too large, or not what it is called.',
    'The message has the file: PNG, JPEG, WebP, WAV, FLAC, MP3 or Ogg, 16 MiB at most, named by its format.',
  ],
  'datanet-rows': [
    'A row is not as the Datanet’s schema or limits want it.',
    'The message has the line and what is wrong; mend or leave out that row.',
  ],
  'datanet-private': [
    'Rows are encrypted, and cannot be read here or with this key.',
    'Their contributor can grant them: openledger datanet grant.',
  ],
  'datanet-erased': [
    'Private rows of the Datanet version were erased by who gave them.',
    'Name a version without them; openledger datanet version makes one.',
  ],
  'no-public-key': [
    'The public key of an account cannot be told from the chain.',
    'Ask its owner for what openledger datanet key prints.',
  ],
  'provenance-unknown': [
    'Nothing on this chain is called so.',
    'Give a receipt, model, rows root, event, account, or a row as datanet/version/row.',
  ],
  'remote-lies': [
    'What a node shows does not hash to what it must be.',
    'Ask another node; nothing of the answer was used.',
  ],
  'datanet-row': [
    'There is no such row.',
    'Rows count from 0; the message says how many there are.',
  ],
  'datanet-format': [
    'The format of a file cannot be told from its name.',
    'Say --format csv, jsonl or parquet.',
  ],
  'datanet-groups': ['That is no file of duplicate groups.', FRESH],
  'datanet-content': ['Content of a Datanet is not what the chain says.', FRESH],
  'datanet-create': [
    'The transaction that makes a Datanet left no event.',
    'Look at the transaction.',
  ],
  'datanet-empty': [
    'Nothing is accepted that could be published.',
    'Contribute rows, and let validators accept them.',
  ],
  'datanet-unknown': ['There is no Datanet of that id.', 'openledger_listDatanets lists them.'],
  'not-committed': [
    'Rows were to be revealed that were never committed.',
    'Contribute the file again.',
  ],
  'no-relay': [
    'This node has no account to send commitments for others.',
    'Ask one that serves models, or send the transaction yourself.',
  ],
  'training-request': ['What a training is asked for is not in order.', FORM],
  'training-manifest': ['A training manifest is not in order.', FORM],
  'training-rows': [
    'The rows to train on are not those of the manifest.',
    'Make a new draft: a version was published since.',
  ],
  'training-trail': [
    'The losses since a checkpoint are not those that were recorded.',
    'The machine computes wrongly, or the record was changed: train from the start on another machine.',
  ],
  'training-report': ['That is no training report.', FRESH],
  'training-file': [
    'A line of the training file cannot be used.',
    'The message has the line; each is {"messages": …}, {"prompt", "completion"} or {"text"}.',
  ],
  'training-method': ['That way of training is not offered.', "Use 'supervised'."],
  purpose: ['Files have one of a few purposes.', 'The message lists them.'],
  file: ['The form has no file.', "Send multipart/form-data with 'file' and 'purpose'."],
  suffix: ['The name of the model may not be so.', "Up to 64 of letters, digits, '.', '_', '-'."],
  merge: ['Those models cannot be merged.', 'Fewer parents, or of lower rank; of the same base.'],
  safetensors: ['An adapter’s file cannot be read.', 'Export it again as safetensors.'],
  'job-unknown': [
    'There is no such job here.',
    'openledger_listJobs lists them; a job is where it was submitted.',
  ],
  'job-not-committed': [
    'The job is not in JobRegistry.',
    'Submit it there first: that is where its fee is paid.',
  ],
  'job-terms': [
    'The chain has other terms for that job than its manifest.',
    'Draft it anew and submit what the draft says.',
  ],
  'job-owner': ['The job is somebody else’s.', 'Its owner signs JobControl.'],
  'job-state': [
    'The job is past the point where that can be done.',
    'openledger_getJob shows its state.',
  ],
  'job-worker': [
    'The job names another worker.',
    'Submit it to that one, or to anybody (zero address).',
  ],
  'job-failed': ['The training failed.', 'The message says why; the fee goes back.'],
  'jobs-full': ['As many jobs wait as may.', 'Try again later.'],
  'record-busy': ['A job changes all the time.', 'Try again.'],
  'record-changed': ['Somebody else changed the job first.', 'Try again.'],
  nats: [
    'The NATS server does not answer, or refuses.',
    'See --nats-url; it must run with JetStream.',
  ],
  agent: ['An agent’s registration file cannot be run.', 'The message names the field.'],
  'agent-unknown': ['No agent of that id is registered.', '/agents lists them.'],
  'agent-policy': [
    'The run could cost more than the agent’s policy allows.',
    'Its owner raises feeMax, or the question is shorter.',
  ],
  message: ['A message to an agent has no text, or too much.', 'The message has the limit.'],
  skill: ['The agent card knows no such skill.', 'Name one of /.well-known/agent-card.json.'],
  'a2a-stream': ['This node’s agent does not stream.', 'Use SendMessage.'],
}
