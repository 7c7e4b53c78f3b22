/** Between machines: peers, content, the sequencer, signers. */
import type { ContentErrorCode } from '../content/errors.ts'
import type { P2PErrorCode } from '../p2p/errors.ts'
import type { ErrorPage, ErrorPages } from './types.ts'

const OTHER_PEER = 'Nothing: another peer is asked, and this one is trusted less.'
const CALLER = 'A fault of the caller: the message says what.'

const PEER: Readonly<Record<P2PErrorCode, ErrorPage>> = {
  'bad-message': ['A peer sent bytes that are no message.', OTHER_PEER],
  'too-large': ['A message is longer than the protocol allows.', OTHER_PEER],
  'content-too-large': [
    'Content is longer than the caller takes.',
    'Fetch it in parts, or raise the limit of the call.',
  ],
  'wrong-answer': ['A peer answered another question.', OTHER_PEER],
  'wrong-content': ['All bytes came, and are not the content.', OTHER_PEER],
  disagreement: ['Peers say different things of one content.', OTHER_PEER],
  timeout: ['It took longer than it may.', 'Try again; see whether the other side is well.'],
  'cut-off': ['The connection ended early.', OTHER_PEER],
  unreachable: ['A peer cannot be reached.', 'See its address and the firewall; others are tried.'],
  'rate-limited': ['Too much was asked in too short a time.', 'Wait, then ask less at once.'],
  'not-found': [
    'There is no such thing here.',
    'The message names what was asked for. Content: ask again when more peers are connected.',
  ],
  'no-peer': [
    'No peer is connected.',
    'Give --peers or --bootnodes, and let --p2p-port be reached.',
  ],
  busy: ['As much is under way as may.', 'Try again in a moment.'],
  stopped: ['The node is stopping.', 'Start it again.'],
  'bad-key': ['The peer key cannot be read.', 'Restore the file, or delete it for a new identity.'],
  'bad-address': [
    'That is no peer id, address or multiaddr.',
    'Such as /ip4/192.0.2.1/tcp/9222/p2p/12D3…',
  ],
  'bad-argument': ['A message cannot be made of that.', CALLER],
}

const CONTENT: Readonly<Record<ContentErrorCode, ErrorPage>> = {
  'content-missing': [
    'This node does not have that content.',
    'It is asked of peers; ask again, or a node that keeps it.',
  ],
  'content-corrupt': [
    'What is stored or came is not what its hash says.',
    'It is fetched anew. If it comes back, the disk is failing.',
  ],
  'content-too-large': PEER['content-too-large'],
  'bad-content-hash': [
    'That is no CIDv1 of raw bytes by keccak-256.',
    'Give the 0x hash, or the CID that the node showed.',
  ],
  'bad-range': ['Those bytes are outside the content.', 'Ask within its size.'],
  'bad-manifest': ['A directory does not have what its manifest says.', 'Publish it again.'],
  'bad-name': ['A file may not be named so.', 'Relative names, without .. and control characters.'],
  'bad-directory': [
    'A directory cannot be published so.',
    'Plain files only, and not too many; the message says which.',
  ],
  'hash-thread': [
    'The thread that hashes large content has ended.',
    'Try again; report it if it stays so.',
  ],
  'target-exists': ['Something else lies where a directory should be made.', 'Move it away.'],
}

export const NETWORK_ERRORS: ErrorPages = {
  ...PEER,
  ...CONTENT,
  'sequencer-unreachable': [
    'The sequencer does not answer.',
    'See --sequencer-rpc; the transaction was not sent. L1 takes it too (forced inclusion).',
  ],
  refused: ['The other side understood and refuses.', 'The message has its reason.'],
  'signer-unreachable': [
    'The remote signer does not answer.',
    'See its address, certificate and network.',
  ],
  'signer-refused': ['The remote signer refuses to sign.', 'See its rules and log.'],
  'signer-wrong-key': [
    'The remote signer signs with another key.',
    'Give it the key of the address in the message.',
  ],
  'signer-unavailable': ['Nothing can sign now.', 'See the message; it is tried again.'],
}
