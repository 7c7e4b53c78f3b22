import { Wallet } from 'ethers'
import fc from 'fast-check'
import t from 'tap'
import { fromHex, toHex } from '../../../node/base/bytes.ts'
import { addressOfKey } from '../../../node/base/keys.ts'
import {
  decryptKey,
  encryptKey,
  keystoreAddress,
  parseKeystore,
} from '../../../node/keys/keystore.ts'

/** Little work: the format is what these tests are about. */
const CHEAP = { n: 2, r: 1, p: 1 }

/** The two vectors of the Web3 Secret Storage definition; password `testpassword`. */
const SECRET = '0x7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d'
const COMMON = { cipher: 'aes-128-ctr', version: 3 }
const VECTORS = {
  pbkdf2: {
    cipherparams: { iv: '6087dab2f9fdbbfaddc31a909735c1e6' },
    ciphertext: '5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46',
    kdf: 'pbkdf2',
    kdfparams: {
      c: 262144,
      dklen: 32,
      prf: 'hmac-sha256',
      salt: 'ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd',
    },
    mac: '517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2',
  },
  scrypt: {
    cipherparams: { iv: '83dbcc02d8ccb40e466191a123791e0e' },
    ciphertext: 'd172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c',
    kdf: 'scrypt',
    kdfparams: {
      dklen: 32,
      n: 262144,
      r: 1,
      p: 8,
      salt: 'ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19',
    },
    mac: '2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097',
  },
}

for (const [kdf, crypto] of Object.entries(VECTORS)) {
  t.test(`the published ${kdf} keystore opens`, async (t) => {
    const text = JSON.stringify({ version: 3, crypto: { ...COMMON, ...crypto } })
    t.equal(toHex(decryptKey(parseKeystore(text), 'testpassword')), SECRET)
  })
}

t.test('ethers opens what we write, and we open what ethers writes', async (t) => {
  const ours = encryptKey(fromHex(SECRET), 'p\u00e4ssword', { ...CHEAP, n: 1024 })
  const theirs = await Wallet.fromEncryptedJson(JSON.stringify(ours), 'p\u00e4ssword')
  t.equal(theirs.privateKey, SECRET)
  const written = await theirs.encrypt('again')
  t.equal(toHex(decryptKey(parseKeystore(written), 'again')), SECRET)
})

t.test('any key and password come back, and the address stands in the file', async (t) => {
  fc.assert(
    fc.property(
      fc
        .uint8Array({ minLength: 32, maxLength: 32 })
        .filter((key) => key[0] !== 0xff && key.some(Boolean)),
      fc.string({ unit: 'binary', minLength: 1 }),
      (key, password) => {
        const keystore = parseKeystore(JSON.stringify(encryptKey(key, password, CHEAP)))
        t.equal(toHex(decryptKey(keystore, password)), toHex(key))
        t.equal(keystoreAddress(keystore), addressOfKey(key))
      },
    ),
    { numRuns: 50 },
  )
})

t.test('a wrong password and a file that is no keystore are refused in words', async (t) => {
  const keystore = encryptKey(fromHex(SECRET), 'right', CHEAP)
  t.throws(() => decryptKey(keystore, 'wrong'), /the password is wrong/)
  t.throws(() => parseKeystore('{'), /not JSON/)
  t.throws(() => parseKeystore('{"version":1}'), /version is 1, want 3/)
  const hostile = structuredClone(keystore) as { crypto: { kdfparams: Record<string, number> } }
  hostile.crypto.kdfparams.n = 2 ** 30
  t.throws(() => decryptKey(hostile as typeof keystore, 'right'), /scrypt n=1073741824/)
})
