// Ids for new entries (ULID): the page makes them itself, so that an addition that is tried again is the same addition.

const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

export function ulid(): string {
  let time = Date.now();
  let head = "";
  for (let place = 0; place < 10; place++) {
    head = DIGITS.charAt(time % 32) + head;
    time = Math.floor(time / 32);
  }
  const random = crypto.getRandomValues(new Uint8Array(16));
  return head + Array.from(random, (byte) => DIGITS.charAt(byte % 32)).join("");
}
