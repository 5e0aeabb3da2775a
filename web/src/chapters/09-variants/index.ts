// Chapter 9, the variants: what is different from the film of a model that goes on with a text. One telling for each kind of model.
//
// `translate`, of an encoder–decoder (H heads; t goes over the target, s over the source):
//   two    two rivers: the source through the encoder, the target through the decoder, and the links between them, one for each
//          block of the decoder           {encoder,decoder}.blocks.*.{resid_pre, and what each block leaves}
//   masks  the two-way mask beside the causal one          encoder.blocks.l.pattern, decoder.blocks.l.pattern
//   ask    one place of the target asks the whole source   cross_q, cross_k, cross_scores, cross_pattern
//   align  lines between the words, as wide as their weights                                   cross_pattern
//   table  the same weights as a matrix                                                        cross_pattern
//   heads  all heads of cross-attention; one can be chosen                                     cross_pattern
//   write  token by token, the encoder's work done once                                        logits
//
// `gaps`, of an encoder with a head that fills gaps (two runs of one text: as it is, and with a mark in place of one token):
//   gap    the word goes, a mark takes its place           tokens
//   sees   what the gap looks at, on both sides            blocks.l.pattern
//   fill   what could stand there, and what the same place says when the word is seen          logits
export { gaps } from './gaps';
export { translate } from './translate';
