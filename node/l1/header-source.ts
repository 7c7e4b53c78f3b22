/**
 * Headers as endpoints give them, made whole: one with fields of a fork this version does not know is read again as
 * RLP, from whichever endpoint shows that.
 */
import type { BlobFeeConfig } from './blob-fee.ts'
import type { L1Client } from './client.ts'
import { L1CallError, l1HeaderUnread } from './errors.ts'
import { isUnread, type L1Header, parseRawHeader, type UnreadHeader } from './header.ts'
import { bytesOf } from './json.ts'

/** @throws NodeError `l1-header-unread` (retry) when no endpoint has the RLP */
export async function completeHeader(
  client: L1Client,
  header: L1Header | UnreadHeader,
  config: BlobFeeConfig,
): Promise<L1Header> {
  if (!isUnread(header)) return header
  const { hash, unknown } = header
  try {
    return await client.request('debug_getRawHeader', [hash], (result) =>
      parseRawHeader(bytesOf(result, 'raw header'), hash, config),
    )
  } catch (error) {
    if (error instanceof L1CallError) throw l1HeaderUnread(header, unknown, error)
    throw error
  }
}
