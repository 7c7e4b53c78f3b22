/** The command, its exit statuses, the devnet, the engine, JSON-RPC's numbers, and what `openledger doctor` finds. */
import type { NativeCode } from '../../native/index.ts'
import type { ErrorPage, ErrorPages } from './types.ts'

const ENGINE: Readonly<Record<NativeCode, ErrorPage>> = {
  NATIVE_IO: ['The engine cannot read or write a file.', 'See path, permissions and disk.'],
  NATIVE_BAD_MODEL: [
    'The base model cannot be loaded.',
    'The message says what of it; get the folder again.',
  ],
  NATIVE_BAD_ADAPTER: [
    'The adapter does not fit the base.',
    'Use one that was trained on this base.',
  ],
  NATIVE_UNSUPPORTED: [
    'The engine cannot do that on this machine.',
    'The message says what it would need.',
  ],
  NATIVE_BAD_INPUT: ['The engine was called wrongly.', 'The message has the argument.'],
  NATIVE_BAD_INDEX: ['An attribution index cannot be read.', 'Make it again, or fetch it anew.'],
  NATIVE_CANCELLED: ['The work was cancelled.', 'Nothing.'],
  NATIVE_QUEUE_FULL: ['As many answers wait as may.', 'Try again in a moment.'],
  NATIVE_SHUTTING_DOWN: ['The engine is stopping.', 'Ask again when the node is back.'],
  NATIVE_UNKNOWN_ADAPTER: ['No such adapter is loaded.', 'Load it first.'],
  NATIVE_OUT_OF_MEMORY: [
    'The machine has not the memory for it.',
    'Ask for less at once: shorter rows, a smaller batch, fewer answers; or use a larger machine.',
  ],
  NATIVE_DIVERGED: ['The training diverged: the loss is no number.', 'Lower the learning rate.'],
  NATIVE_INTERNAL: ['The engine failed.', 'It is a fault of ours: report it with the log.'],
}

/** Codes of JSON-RPC 2.0, EIP-1474, geth. */
const JSON_RPC: ErrorPages = {
  '-32700': ['The request is not JSON.', 'Send one object or a list of them.'],
  '-32600': [
    'The request is no JSON-RPC 2.0 call.',
    'It has jsonrpc, id, method, params; POST it as application/json.',
  ],
  '-32601': ['There is no such method here.', '`rpc.discover` lists those there are.'],
  '-32602': ['A parameter is wrong.', 'The message names it and what it may be.'],
  '-32603': ['A fault of this node.', 'Report it; its log has the details.'],
  '-32000': [
    'The input is in order, and the answer is no.',
    '`data.code` says why, and has a page.',
  ],
  '-32001': ['There is no such thing here.', 'It may be to come, or pruned.'],
  '-32002': ['It cannot be done now, or took too long.', 'Try again; ask for less at once.'],
  '-32003': ['The answer would be too large.', 'Ask for less at once.'],
  '-32005': ['A limit is reached.', 'The message has the limit: narrow the range, or wait.'],
  '3': ['The call reverted.', '`data` is what the contract returned; decode it with its ABI.'],
  '4': [
    'The transaction was sent and is in no block yet (EIP-7966).',
    'Ask eth_getTransactionReceipt for it.',
  ],
}

const EXITS: ErrorPages = {
  'exit-1': ['Something unexpected.', 'The message and the log say what.'],
  'exit-2': [
    'Command line, option, configuration or key.',
    'Mend what the message names: starting again will not help.',
  ],
  'exit-3': [
    'The data directory: in use, another chain’s, a newer schema, damaged.',
    "See the message, and 'openledger doctor'.",
  ],
  'exit-4': [
    'doctor, db verify or snapshot verify found something.',
    'Each finding has its remedy.',
  ],
  'exit-5': ['The disk is full.', 'Free some space and start again.'],
  'exit-130': [
    'Ended by a second signal without a clean shutdown.',
    'Start it again: it recovers by itself.',
  ],
}

/** By the name of the finding. */
const DOCTOR: ErrorPages = {
  'doctor-node': [
    'Node.js is older than this version needs.',
    'Run it by npm, which brings its own, or install a newer one.',
  ],
  'doctor-engine': [
    'The native engine does not load.',
    "Run 'npm run build:native'; without it a node serves and verifies no models.",
  ],
  'doctor-clock': ['The clock of the machine is off.', 'Turn on NTP: blocks carry times.'],
  'doctor-open-files': ['The limit of open files is low.', 'Raise it (ulimit -n, LimitNOFILE).'],
  'doctor-rollup': [
    'The chain’s configuration cannot be read.',
    "Give --rollup, or run 'openledger init'.",
  ],
  'doctor-data-dir': [
    'The data directory cannot be used.',
    'Its remedy is in the finding: owner, rights, or another directory.',
  ],
  'doctor-database': [
    'The database is in use, of another chain, or was not closed.',
    'An unclean end mends itself at the next start.',
  ],
  'doctor-disk': [
    'There is little space on the disk.',
    'Free some: the node stops itself before it is full.',
  ],
  'doctor-permissions': [
    'Others may read what only the node should.',
    'chmod as the finding says.',
  ],
  'doctor-l1-genesis': ['The L1 is not the one this chain stands on.', 'Give the right --l1-rpc.'],
  'doctor-l1-agreement': ['L1 endpoints do not agree.', 'Take out the wrong one, or add a third.'],
  'doctor-l1-owner': [
    'Somebody’s key, not a vote, may change the L1 contracts.',
    'The finding names what and whom: trust that account, or hand over to the relay.',
  ],
  'doctor-l1-rpc': ['An L1 endpoint does not answer, or lags.', 'See its address and key.'],
  'doctor-beacon': [
    'A beacon endpoint does not answer, or has no blobs.',
    'Use one that serves blobs.',
  ],
  'doctor-port': ['A port is taken.', 'Choose another, or stop what has it.'],
  'doctor-sequencer': [
    'The sequencer cannot be reached, or is of another chain.',
    'See --sequencer-rpc.',
  ],
  'doctor-key': [
    'A key is missing, cannot be read, or is not funded.',
    'Its remedy is in the finding.',
  ],
}

export const COMMAND_ERRORS: ErrorPages = {
  ...ENGINE,
  ...JSON_RPC,
  ...EXITS,
  ...DOCTOR,
  usage: [
    'The command line cannot be read.',
    'The message has the usage and what may have been meant.',
  ],
  'not-offered': [
    'The thing is not offered on the market, or not so.',
    '`openledger market list` shows what is; its owner offers it by `openledger market offer`.',
  ],
  'nothing-booked': [
    'The market owes that account nothing.',
    'It books what sales and licences pay, to seller and ancestors.',
  ],
  options: [
    'An option has a value it may not have.',
    '`openledger config print --origin` shows every value and where it came from.',
  ],
  'key-file': [
    'A key file cannot be read, or others may read it.',
    'See path and rights (chmod 600).',
  ],
  keystore: ['A keystore cannot be opened.', 'See password, version (3) and file.'],
  'port-taken': [
    'Something listens on that port.',
    'Choose another, 0 for a free one, or stop what has it.',
  ],
  'rpc-unreachable': [
    'The node does not answer.',
    'See --rpc and whether it runs: `openledger status`.',
  ],
  'rpc-busy': [
    'The node asks to be asked less.',
    'Try again in a while, or ask another node (--url).',
  ],
  'rpc-unavailable': [
    'The node cannot have now what was asked for.',
    'Try again; the message says what it lacks.',
  ],
  'rpc-refused': ['The node refuses the call.', 'The message has its reason.'],
  rpc: ['A call to a node failed.', 'The message has the method and the reason.'],
  reverted: ['A transaction reverted.', 'The message has its hash.'],
  inference: ['The provider refuses to answer.', 'The message has its reason.'],
  'role-failed': [
    'A process of the devnet ended.',
    'The message has the end of its log; see free memory and disk.',
  ],
  'devnet-folder': [
    'The folder for the devnet holds something else.',
    'Choose another with --dir.',
  ],
  'deploy-plan': [
    'The plan of a deployment cannot be carried out.',
    'The message names the field; nothing was sent.',
  ],
  'vesting-plan': [
    'Beneficiaries and amounts are not the published schedule.',
    'Each part must sum to its share of the supply, to the wei; the message says by how much it does not.',
  ],
  package: ['A package does not hold what it should.', "Run 'npm ci' again."],
  prompts: ['A row of prompts cannot be used.', 'The message has the row.'],
  rows: ['A row of the file cannot be used.', 'The message has the row.'],
}
