/** L1, derivation, sequencing, settlement, the store: what stops a node, and what it waits for. */
import type { ErrorPages } from './types.ts'

const REPORT = 'It is a fault of ours: report it with the log.'
const WAIT = 'Nothing: the node tries again by itself.'

export const CHAIN_ERRORS: ErrorPages = {
  'l1-unavailable': [
    'No L1 endpoint answered.',
    "See that --l1-rpc and --l1-beacon can be reached from this machine; 'openledger doctor' tries each. The node goes on when one answers.",
  ],
  'l1-invalid': [
    'An L1 endpoint contradicts itself: a hash, a root or a number does not fit.',
    'Take the endpoint out of --l1-rpc. Nothing was followed because of it.',
  ],
  'l1-behind': ['An L1 endpoint lags behind what L1 is known to have.', WAIT],
  'l1-block-missing': [
    'A block of L1 that was followed is not there any more.',
    'Nothing: L1 was reorganised, and the node goes back to where it agrees.',
  ],
  'l1-minority': [
    'An L1 endpoint says something else than most others.',
    'If it goes on: take that endpoint out of --l1-rpc.',
  ],
  'l1-disagreement': [
    'L1 endpoints contradict each other and none has more than half behind it.',
    'Find out which is wrong and take it out of --l1-rpc, or add a third.',
  ],
  'l1-header-unread': [
    'A fork of L1 added header fields that this version does not know.',
    'Upgrade the node, or give --l1-rpc an endpoint that serves debug_getRawHeader.',
  ],
  'l1-blob-unavailable': [
    'No source has a blob that derivation needs.',
    'Blobs are kept for about 18 days: add a beacon endpoint that archives them to --l1-beacon, or copy the blob into the blob archive (scripts/ops).',
  ],
  'l1-call-refused': [
    'L1 understood a call and refuses it.',
    'The message says why; of a transaction, mostly too little ETH.',
  ],
  kzg: [
    'A blob does not have the form of one.',
    'The source of the blob is wrong: use another beacon endpoint.',
  ],
  'kzg-busy': ['Too many blobs are being checked at once.', WAIT],
  'kzg-worker': ['The thread that checks blobs ended.', WAIT],
  'wrong-l1': [
    'The L1 of --l1-rpc is not the one this chain stands on.',
    'Give the endpoints of the L1 that rollup.json names (l1ChainId, genesis).',
  ],
  'deposit-only-invalid': ['A block of deposits alone does not execute.', REPORT],
  'not-derived': [
    'Derivation has not come to that block yet.',
    'Ask again later; `openledger status` says how far it is.',
  ],
  'not-canonical': [
    'That block is not of the canonical chain.',
    'Ask by number, or for the block that took its place.',
  ],
  'state-pruned': [
    'The state after that block is not kept here any more.',
    'Ask for a newer block, or a node that keeps all of them (--prune-after-hours).',
  ],
  'unknown-block': [
    'There is no such block here.',
    'It may be to come, or of another chain: ask eth_blockNumber.',
  ],
  'stale-parent': [
    'Another block came first.',
    'Nothing: the block is built again on the new head.',
  ],
  'finalized-reorg': [
    'A block would leave the chain below what L1 has finalized.',
    'Do not go on with this data: L1 or its endpoints lied. Check them, then derive anew into an empty data directory.',
  ],
  'build-failed': ['A block of our own attributes does not execute.', REPORT],
  'seal-mismatch': ['The block executed again gives another result.', REPORT],
  'l1-origin': [
    'The L1 block that ours refers to is no longer canonical.',
    'Nothing: the sequencer goes back.',
  ],
  'other-head': [
    'The sequencer was to start from a head that is not this node’s.',
    'Give admin_startSequencer the hash of the unsafe head.',
  ],
  'batch-incorrect': ['A batch made here does not read back as its blocks.', REPORT],
  'batch-refused': [
    'L1 does not take a batch.',
    "See the batcher's ETH and --l1-fee-gwei-max; it is tried again with higher fees.",
  ],
  'cancel-too-dear': [
    'Freeing a nonce on L1 costs more than the ceiling or the balance.',
    'Send ETH to the batcher, or raise --l1-fee-gwei-max.',
  ],
  'block-refused': [
    'The validator executed a block and got another result than the sequencer.',
    'Nothing was signed. Keep both data directories and find out who is right before you go on.',
  ],
  'supply-gap': [
    'Books of OPEN are missing for a block.',
    'Let the validator begin anew from an empty data directory.',
  ],
  'l1-origin-gone': ['L1 was reorganised below a block that is being verified.', WAIT],
  'content-not-shown': [
    'Nobody shows content that a receipt refers to.',
    'Nothing: it is asked for again, and judged when it comes.',
  ],
  'output-not-verified': ['An output is due that this validator has not verified yet.', WAIT],
  'output-equivocation': [
    'This validator has signed another output for that block before.',
    'It refuses: a second signature would cost its bond. Find out which chain the first one was for.',
  ],
  'settlement-refused': ['The chain refuses a receipt.', 'The message has the contract’s reason.'],
  'transaction-lost': [
    'A transaction of this node is in none of the blocks in which it should be.',
    WAIT,
  ],
  'transaction-reverted': [
    'A transaction of this node reverted.',
    'The message has the function; the transaction its reason.',
  ],
  'call-reverted': ['A contract refuses a call.', 'The message has its reason.'],
  'no-rollup': [
    'This node runs a plain Ethereum chain, which has no rollup configuration.',
    'Ask a node of a rollup.',
  ],
  starting: [
    'The node is still starting.',
    'Try again in a moment; /readyz says when it is ready.',
  ],
  genesis: ['A genesis.json cannot be used.', 'The message names the field.'],
  'chain-file': [
    'A file of blocks cannot be read or written.',
    'The message says where: import goes on from the blocks before it.',
  ],
  preinstall: [
    'A contract that stands on every chain cannot be read from its package.',
    "Run 'npm ci' again.",
  ],
  'store-locked': [
    'Another process has the database open.',
    'Stop it: one data directory, one node.',
  ],
  'store-open-failed': [
    'The database does not open.',
    "See 'openledger doctor'; restore a snapshot if it is damaged.",
  ],
  'store-schema': [
    'A newer version wrote the database.',
    'Run that version, or use another data directory.',
  ],
  'store-other-chain': [
    'The database is of another chain.',
    'Use another --data-dir, or the rollup.json it was made with.',
  ],
  'store-damaged': [
    'The database lacks what it must have.',
    'Restore a snapshot, or derive anew into an empty directory.',
  ],
  'store-write-failed': [
    'The database cannot be written.',
    'See the disk and the permissions; nothing half is kept.',
  ],
  'disk-full': [
    'The disk is full.',
    'Free some space and start again; nothing that was shown is lost.',
  ],
  'datadir-locked': [
    'A node runs in that data directory.',
    'Stop it first, or use another --data-dir.',
  ],
  'datadir-unusable': [
    'The data directory cannot be used.',
    'Give its owner the right to write, or choose another --data-dir.',
  ],
  'snapshot-exists': ['There is a folder of that name.', 'Choose another name.'],
  'snapshot-invalid': [
    'A file of the snapshot is missing or is not what its manifest says.',
    'Get the snapshot again.',
  ],
  assertion: ['Something impossible happened.', REPORT],
}
