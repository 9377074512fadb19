//! Digests of all lists of a replica: 256 shards of 256 buckets, each the sum of its lists' sums.
