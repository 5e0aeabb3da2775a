//! MP4 with H.264, which every player plays.

use std::io::Write;

use muxide::api::{Muxer, MuxerBuilder, VideoCodec};
use openh264::OpenH264API;
use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, QpRange,
    RateControlMode, UsageType, VuiConfig,
};
use openh264::formats::{RgbaSliceU8, YUVBuffer};
use resvg::tiny_skia::Pixmap;

use crate::error::FilmError;
use crate::script::Size;

/// Quantisation: text stays crisp below 26, and flat pictures take few bits at any.
const QUANTISER: QpRange = QpRange::new(18, 27);
/// Seconds between two frames that need no other: how fine a player can jump.
const SECONDS_PER_KEY: f64 = 4.0;
/// Bits for a pixel of a frame, at most: most frames take a tenth of it.
const BITS_PER_PIXEL: f64 = 0.25;

/// Writes frames as they come.
pub(crate) struct Mp4<W: Write> {
    encoder: Encoder,
    muxer: Muxer<W>,
    fps: f64,
    written: u32,
}

impl<W: Write> Mp4<W> {
    pub(crate) fn new(writer: W, size: Size, fps: f64) -> Result<Self, FilmError> {
        if size.width % 2 + size.height % 2 != 0 {
            return Err(FilmError::Size {
                width: size.width,
                height: size.height,
                reason: "H.264 wants even numbers",
            });
        }
        let pixels = f64::from(size.width) * f64::from(size.height);
        let config = EncoderConfig::new()
            .usage_type(UsageType::ScreenContentRealTime)
            .rate_control_mode(RateControlMode::Off)
            .bitrate(BitRate::from_bps((pixels * fps * BITS_PER_PIXEL) as u32))
            .adaptive_quantization(false)
            .background_detection(false)
            .max_frame_rate(FrameRate::from_hz(fps as f32))
            .qp(QUANTISER)
            .complexity(Complexity::High)
            .skip_frames(false)
            .intra_frame_period(IntraFramePeriod::from_num_frames(
                (fps * SECONDS_PER_KEY) as u32,
            ))
            .vui(VuiConfig::bt601());
        let encoder = Encoder::with_api_config(OpenH264API::from_source(), config)
            .map_err(FilmError::encode)?;
        let muxer = MuxerBuilder::new(writer)
            .video(VideoCodec::H264, size.width, size.height, fps)
            .build()
            .map_err(FilmError::encode)?;
        Ok(Self {
            encoder,
            muxer,
            fps,
            written: 0,
        })
    }

    pub(crate) fn write(&mut self, frame: &Pixmap) -> Result<(), FilmError> {
        let size = (frame.width() as usize, frame.height() as usize);
        let picture = YUVBuffer::from_rgba8_source(RgbaSliceU8::new(frame.data(), size));
        let stream = self.encoder.encode(&picture).map_err(FilmError::encode)?;
        let is_key = matches!(stream.frame_type(), FrameType::IDR | FrameType::I);
        let time = f64::from(self.written) / self.fps;
        self.muxer
            .write_video(time, &stream.to_vec(), is_key)
            .map_err(FilmError::encode)?;
        self.written += 1;
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<(), FilmError> {
        self.muxer.finish().map_err(FilmError::encode)
    }
}
