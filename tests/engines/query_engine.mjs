#!/usr/bin/env node
console.log('query-engine 393aa359c9ad4a4bb28630fb5613f9c281cde053')
