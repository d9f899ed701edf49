use driblet::browser_sync_stream::RabinOptions;

/// Parses `BITS,MIN,MAX`.
pub(crate) fn chunks(text: &str) -> Result<RabinOptions, String> {
    let numbers: Result<Vec<u32>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    let Ok([bits, min, max]) = numbers.as_deref() else {
        return Err("must be three whole numbers, such as 9,1024,4096".into());
    };
    let options = RabinOptions::new().bits(*bits).min(*min).max(*max);
    options.check().map_err(|error| error.to_string())?;
    Ok(options)
}
