import type { EntryPolicy } from "./options.js";

/**
 * Named policies by kind of data; a cache's own `presets` are laid over these.
 *
 * | Preset       | Fresh for | Because                                                          |
 * | ------------ | --------- | ---------------------------------------------------------------- |
 * | `user`       | 1 hour    | accounts rarely change, and a change is invalidated               |
 * | `profile`    | 5 minutes | what users edit themselves changes often                         |
 * | `entity`     | 5 minutes | one row of anything, by id or by key: moderate update rate        |
 * | `contact`    | 10 minutes| edited by people, during their working day                       |
 * | `deal`       | 10 minutes| moves between stages a few times a week                          |
 * | `product`    | 1 hour    | rarely changes                                                   |
 * | `category`   | 24 hours  | almost never changes                                             |
 * | `settings`   | 24 hours  | very static, read by every request                               |
 * | `posts`      | 30 minutes| moderately dynamic                                               |
 * | `list`       | 2 minutes | changes with every row in it                                     |
 * | `pagination` | 15 minutes| pages of a listing that may lag a little                         |
 * | `search`     | 1 minute  | very dynamic, and seldom asked twice                             |
 * | `count`      | 5 minutes | exactness is seldom needed                                       |
 * | `analytics`  | 15 minutes| computed from views that are themselves refreshed now and then    |
 * | `reference`  | 24 hours  | countries, currencies: changes with a release                    |
 * | `trending`   | 60 seconds| is about the last minutes                                        |
 * | `config`     | 1 hour    | changed by operators, who can also invalidate it                 |
 */
export const presets: Readonly<Record<string, EntryPolicy>> = Object.freeze({
  user: Object.freeze({ ttl: "1h" }),
  profile: Object.freeze({ ttl: "5m" }),
  entity: Object.freeze({ ttl: "5m" }),
  contact: Object.freeze({ ttl: "10m" }),
  deal: Object.freeze({ ttl: "10m" }),
  product: Object.freeze({ ttl: "1h" }),
  category: Object.freeze({ ttl: "24h" }),
  settings: Object.freeze({ ttl: "24h" }),
  posts: Object.freeze({ ttl: "30m" }),
  list: Object.freeze({ ttl: "2m" }),
  pagination: Object.freeze({ ttl: "15m" }),
  search: Object.freeze({ ttl: "1m" }),
  count: Object.freeze({ ttl: "5m" }),
  analytics: Object.freeze({ ttl: "15m" }),
  reference: Object.freeze({ ttl: "24h" }),
  trending: Object.freeze({ ttl: "60s" }),
  config: Object.freeze({ ttl: "1h" }),
});
