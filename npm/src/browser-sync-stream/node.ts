import { SyncError } from '../shared/error.js';
import { receive } from './receive.js';
import { send } from './send.js';

export type { Duplex } from 'node:stream';
export type { SyncErrorCode } from '../shared/error.js';
export type { LevelDatabase } from '../stores/database.js';
export type { ReceiveCallback, ReceiveOptions } from './receive.js';
export type { SendOptions } from './send.js';
export type { Indexed, RabinOptions } from './sending.js';
export { SyncError, receive, send };
/** Like browser-sync-stream: in Node the module itself is `send`. */
export default send;
